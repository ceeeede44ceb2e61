// The chat: what was said, by whom, and whether the bot has taken it.

import { element } from "./dom.js";

const UNANSWERED = "The channel has it; whether the bot has taken it is not known. Delivered again, it counts once.";

export class Messages {
  constructor(list, toEnd, me, again) {
    this.list = list;
    this.me = me;
    this.toEnd = toEnd; // shows the last message
    this.again = again; // called with an activity's id: deliver it once more
    this.items = new Map(); // by activity id, and by clientActivityID until it is known
  }

  clear() {
    this.list.replaceChildren();
    this.items.clear();
  }

  // A text of the page's own, between the messages.
  note(text, kind = "") {
    this.list.append(element("li", { className: `note ${kind}` }, text));
  }

  // What is on its way; `show` replaces it when the channel has it.
  sending(activity) {
    const item = this.#item(activity);
    item.classList.add("sending");
    this.items.set(activity.channelData.clientActivityID, item);
    this.list.append(item);
    this.toEnd();
  }

  // Nobody answered, or what they answered is no yes. What the channel has is not sent anew: it would be one more message.
  failed(clientId, reason, sendAgain) {
    const item = this.items.get(clientId);
    if (!item) return;
    if (item.dataset.activity) return this.outcome(clientId, UNANSWERED);
    item.classList.replace("sending", "failed");
    item.append(element("p", { className: "why" }, reason, " ", button("Send again", () => (item.remove(), sendAgain()))));
  }

  // `reason` null: the bot has taken it; otherwise why not, or that nobody knows.
  outcome(id, reason) {
    const item = this.items.get(id);
    if (!item) return;
    item.classList.remove("failed");
    item.querySelector(".why")?.remove();
    if (reason === null) return;
    item.classList.add("failed");
    const { activity } = item.dataset;
    if (!activity) item.dataset.reason = reason; // the channel has it, and is about to show it
    const again = activity ? button("Deliver it again", () => this.again(activity)) : "";
    item.append(element("p", { className: "why" }, reason, " ", again));
  }

  show(activity) {
    const changed = activity.channelData?.changes;
    if (changed) return this.#change(changed, activity);
    if (activity.type === "typing" || this.items.has(activity.id)) return;
    const item = this.#item(activity);
    item.dataset.activity = activity.id;
    const clientId = activity.channelData?.clientActivityID ?? activity.id;
    const waiting = this.items.get(clientId);
    this.items.set(activity.id, item).set(clientId, item);
    if (waiting && !waiting.dataset.activity) waiting.remove();
    this.list.append(item); // in the channel's order, which may be another than that of sending
    if (waiting?.classList.contains("failed")) this.outcome(activity.id, waiting.dataset.reason ?? UNANSWERED);
  }

  #change(id, activity) {
    const text = this.items.get(id)?.querySelector(".text");
    if (!text) return;
    if (activity.type === "messageDelete") text.replaceChildren(element("s", {}, text.textContent));
    else text.textContent = activity.text ?? "";
  }

  #item(activity) {
    const bot = activity.from.role === "bot";
    const mine = activity.from.id === this.me.id;
    const parts = [element("p", { className: "text" }, activity.text || `(${activity.type})`)];
    for (const attachment of Array.isArray(activity.attachments) ? activity.attachments : []) parts.push(card(attachment));
    const json = new Text(); // a change of its data adds nothing to the log, which therefore stays where its reader is
    const raw = element("pre", { hidden: true }, json);
    const showRaw = () => {
      raw.hidden = !raw.hidden;
      json.data = raw.hidden ? "" : JSON.stringify(activity, null, 2);
      if (!raw.hidden) raw.scrollIntoView({ block: "nearest" });
    };
    const tools = element("span", { className: "tools" });
    if (!bot && activity.id) {
      tools.append(button("deliver again", () => this.again(activity.id), "The same activity once more, as a channel does"));
    }
    tools.append(button("{ }", showRaw, "The activity as JSON"));
    const speaker = bot ? "Bot" : mine ? "You" : activity.from.name || activity.from.id;
    const number = activity.id ? `#${shortId(activity.id)}` : "…";
    const head = element("p", { className: "who" }, element("b", {}, speaker), " ", element("span", {}, number), tools);
    const className = bot ? "bot" : mine ? "mine" : "other";
    return element("li", { className }, head, ...parts, raw);
  }
}

// The number at the end of an activity's id.
export function shortId(id) {
  return id?.match(/\|0*(\d+)$/)?.[1] ?? id;
}

function card(attachment) {
  const { title, subtitle, text } = attachment.content ?? {};
  const label = [title, subtitle, text].filter((part) => typeof part === "string").join(" · ");
  return element("p", { className: "attachment" }, `${attachment.name ?? attachment.contentType}${label ? `: ${label}` : ""}`);
}

function button(label, onclick, title = "") {
  return element("button", { type: "button", onclick, title }, label);
}
