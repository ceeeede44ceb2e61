// The log of turns: one line for each delivery of an activity, with what happened to it from left to right.

import { clock, element } from "./dom.js";
import { pause } from "./http.js";
import { shortId } from "./messages.js";

const CHIPS = {
  loaded: (event) => [event.attempt > 1 ? "loaded again" : "loaded", documents(event)],
  conflict: (event) => ["conflict", event.reason],
  committed: (event) => (Object.keys(event.documents).length ? [`committed ${count(event.documents)}`, documents(event)] : ["nothing to store", "the state is as it was"]),
  redelivered: (event) => ["redelivered", `known to the ledger, which has ${event.replies} of its replies`],
  reply: (event) => ["reply", event.text ?? event.type],
  failed: (event) => ["failed", event.reason],
  undelivered: (event) => ["replies not taken", event.reason],
  done: () => ["done", ""],
};

export class Turns {
  constructor(list) {
    this.list = list;
    this.open = []; // those that are not over, newest last
    this.ended = []; // { activity, known: to the ledger, stored: whether something was }
  }

  // The deliveries of an activity that are over.
  of(activity) {
    return this.ended.filter((turn) => turn.activity === activity);
  }

  // Waits until each activity was delivered so often, and returns their deliveries.
  async over(activities, times) {
    const missing = () => activities.some((activity) => this.of(activity).length < times);
    for (let waits = 0; missing() && waits < 40; waits++) await pause(50);
    return activities.flatMap((activity) => this.of(activity));
  }

  clear() {
    this.list.replaceChildren();
    this.open = [];
  }

  show(event, replica) {
    const chip = CHIPS[event.what];
    if (!chip) return;
    const turn = this.#turn(event, replica);
    const [label, detail] = chip(event);
    if (detail) turn.told.append(element("p", {}, element("b", {}, label), ` ${detail}`));
    if (event.what === "reply") turn.due -= 1;
    else if (event.replies !== undefined) {
      turn.due += event.replies;
      turn.decided = true;
    }
    if (event.what === "reply" && turn.replies) {
      const count = Number(turn.replies.dataset.count) + 1;
      turn.replies.dataset.count = count;
      turn.replies.textContent = `${count} replies`;
      turn.replies.title += `\n${detail}`;
      return;
    }
    const text = event.what === "done" ? `done in ${Math.round((event.at - turn.began) * 1000)} ms` : label;
    const kind = label === "nothing to store" ? "" : event.what;
    const made = element("span", { className: `chip ${kind}`, title: detail }, text);
    turn.chips.append(made);
    if (event.what === "reply") {
      turn.replies = made;
      made.dataset.count = 1;
    }
    if (["failed", "conflict", "undelivered"].includes(event.what)) turn.chips.append(element("small", {}, detail));
    turn.known ||= event.what === "redelivered";
    turn.stored ||= event.what === "committed" && Object.keys(event.documents).length > 0;
    if (!["done", "failed", "undelivered"].includes(event.what)) return;
    this.open = this.open.filter((each) => each !== turn);
    this.ended.push(turn);
    if (!turn.replica) turn.due = 0; // of this process, all is told in order: what has not come was known to be there
  }

  // On Direct Line the SDK does not say which activity a reply answers, but a commit says how many replies leave. They
  // may be told before it where another replica committed.
  #answered({ activity }) {
    const turns = [...this.ended, ...this.open];
    const named = activity ? turns.findLast((turn) => turn.activity === activity) : undefined;
    const due = turns.find((turn) => turn.due > 0) ?? this.open.find((turn) => turn.replica && !turn.decided);
    return named ?? due ?? turns.at(-1);
  }

  #turn(event, replica) {
    const known =
      event.what === "reply" // told by the channel, maybe after the replica said that it is done
        ? this.#answered(event)
        : this.open.findLast((turn) => turn.activity === event.activity && turn.replica === replica);
    const begins = event.what === "redelivered" || (event.what === "loaded" && event.attempt === 1);
    if (known && !begins) return known;
    const chips = element("span", { className: "chips" });
    const place = replica ? element("small", {}, new URL(replica).host) : null;
    const head = element("summary", {}, element("time", {}, clock(event.at)), element("b", {}, `#${shortId(event.activity) ?? "–"}`), place, chips);
    const told = element("details", { ontoggle: () => told.open && told.scrollIntoView({ block: "nearest" }) }, head);
    this.list.append(element("li", {}, told));
    const turn = { activity: event.activity, replica, began: event.at, chips, told, replies: null, due: 0, decided: false, known: false, stored: false };
    this.open.push(turn);
    return turn;
  }
}

function count(documents) {
  const number = Object.keys(documents).length;
  return number === 1 ? "1 document" : `${number} documents`;
}

function documents(event) {
  return Object.entries(event.documents).map(([key, etag]) => `${key}: ${etag ?? "absent"}`).join("\n");
}
