// The documents as they are stored: the bot's state, and apart from it what the turns have written down in "$turn".

import { clock, element } from "./dom.js";
import { shortId } from "./messages.js";

const TITLES = { conversation: "Conversation", user: "User", private: "User in this conversation" };
const ABSENT = { conversation: "not stored yet", user: "not stored yet", private: "" };

export class Documents {
  constructor(pane) {
    this.pane = pane;
    this.ledger = element("article", { className: "document ledger", hidden: true });
    pane.append(this.ledger);
    this.seen = new Map(); // key -> { etag, version, lines }
    this.cards = new Map(); // key -> element
  }

  show(documents) {
    const keys = documents.map((each) => each.key);
    for (const key of this.cards.keys()) if (!keys.includes(key)) this.#remove(key);
    for (const each of documents) {
      const before = this.seen.get(each.key);
      const mark = each.etag ?? each.error ?? "";
      if (before?.mark === mark) continue;
      const { $turn, ...state } = each.value ?? {};
      if ($turn?.ledger) this.ledger.replaceChildren(ledger($turn.ledger));
      const lines = each.value ? JSON.stringify(state, null, 1).split("\n") : [];
      const version = (before?.version ?? 0) + (each.etag ? 1 : 0);
      this.seen.set(each.key, { mark, version, lines });
      const card = this.#card(each, $turn, lines, before?.lines, version);
      const old = this.cards.get(each.key);
      if (old) {
        for (const open of old.querySelectorAll("details[open]")) {
          const same = card.querySelector(`details[data-name="${open.dataset.name}"]`);
          if (same) same.open = true;
        }
        old.replaceWith(card);
      } else this.ledger.before(card);
      this.cards.set(each.key, card);
    }
    this.ledger.hidden = !documents.some((each) => each.value?.$turn?.ledger);
  }

  #remove(key) {
    this.cards.get(key).remove();
    this.cards.delete(key);
    this.seen.delete(key);
  }

  #card(document, turn, lines, before, version) {
    const absent = !document.etag && !document.error;
    const card = element("article", { className: absent ? "document absent" : "document", hidden: absent && !ABSENT[document.scope] });
    card.dataset.scope = document.scope;
    const size = document.value ? `${JSON.stringify(document.value).length} characters` : "";
    card.append(
      element("h3", {}, TITLES[document.scope], element("span", { className: "version" }, absent ? ABSENT[document.scope] : `version ${version} seen here`)),
      element("dl", {}, ...row("key", document.key), ...(document.etag ? [...row("ETag", document.etag), ...row("size", size), ...row("expiry", expiry(document.life))] : [])),
    );
    if (document.error) card.append(element("p", { className: "why" }, document.error));
    if (document.value) card.append(json(lines, before));
    if (turn) card.append(...record(turn));
    return card;
  }
}

function json(lines, before) {
  const known = new Set(before ?? lines);
  const marked = lines.map((line) => element(known.has(line) ? "span" : "mark", {}, line));
  return element("pre", { className: "json" }, ...marked);
}

function record(turn) {
  const parts = [];
  if (turn.undo) parts.push(element("p", { className: "undo" }, "undo note: a turn that changes this document is being decided"));
  parts.push(details("raw", "$turn, as stored", element("pre", {}, JSON.stringify(turn, null, 2))));
  return parts;
}

function ledger(entries) {
  const rows = entries.toReversed().map((entry) =>
    element("tr", {},
      element("td", {}, entry.id ? `#${shortId(entry.id)}` : "none"),
      element("td", {}, clock(entry.at)),
      element("td", {}, entry.txn),
      element("td", {}, replies(entry)),
    ),
  );
  const head = element("tr", {}, ...["activity", "committed", "transaction", "replies"].map((text) => element("th", { scope: "col" }, text)));
  const table = element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows));
  const made = element("div", { className: "wide" }, table);
  const title = element("h3", {}, "Ledger", element("span", { className: "version" }, `${count(entries.length)} again`));
  return element("div", {}, title, made);
}

function count(number) {
  return number === 1 ? "1 activity that never counts" : `${number} activities that never count`;
}

function replies(entry) {
  if (entry.replies === undefined) return "arrived";
  return `${JSON.parse(entry.replies).length} kept until known to have arrived`;
}

// The life begins anew with each write, and what is used is written again in time.
function expiry(seconds) {
  if (seconds === null) return "never expires";
  const days = seconds / 86_400;
  return `kept ${days} ${days === 1 ? "day" : "days"} after its last use`;
}

function row(name, value) {
  return [element("dt", {}, name), element("dd", {}, value)];
}

function details(name, summary, content) {
  const made = element("details", {}, element("summary", {}, summary), content);
  made.dataset.name = name;
  return made;
}
