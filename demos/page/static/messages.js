// The chat: what was said, by whom, and whether the bot has taken it.

import { atEnd, element } from "./dom.js";

export class Messages {
  constructor(list, me, again) {
    this.list = list;
    this.me = me;
    this.again = again; // called with an activity's id: deliver it once more
    this.items = new Map(); // by activity id, and by clientActivityID until it is known
  }

  clear() {
    this.list.replaceChildren();
    this.items.clear();
  }

  // A text of the page's own, between the messages.
  note(text, kind = "") {
    atEnd(this.list, () => this.list.append(element("li", { className: `note ${kind}` }, text)));
  }

  // What is on its way; `show` replaces it when the channel has it.
  sending(activity) {
    const item = this.#item(activity);
    item.classList.add("sending");
    this.items.set(activity.channelData.clientActivityID, item);
    atEnd(this.list, () => this.list.append(item));
  }

  failed(clientId, reason, sendAgain) {
    const item = this.items.get(clientId);
    if (!item) return;
    item.classList.replace("sending", "failed");
    item.append(element("p", { className: "why" }, reason, " ", button("Send again", () => (item.remove(), sendAgain()))));
  }

  // `taken` null: the bot has taken it; otherwise why not.
  outcome(activityId, reason) {
    const item = this.items.get(activityId);
    if (!item) return;
    item.classList.remove("failed");
    item.querySelector(".why")?.remove();
    if (reason === null) return;
    item.classList.add("failed");
    item.append(element("p", { className: "why" }, reason));
  }

  show(activity) {
    const changed = activity.channelData?.changes;
    if (changed) return this.#change(changed, activity);
    if (activity.type === "typing" || this.items.has(activity.id)) return;
    const item = this.#item(activity);
    const waiting = this.items.get(activity.channelData?.clientActivityID);
    this.items.set(activity.id, item);
    atEnd(this.list, () => {
      if (waiting?.classList.contains("sending")) waiting.remove();
      this.list.append(item); // in the channel's order, which may be another than that of sending
    });
    this.items.set(activity.channelData?.clientActivityID ?? activity.id, item);
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
    const raw = element("pre", { hidden: true });
    const showRaw = () => {
      raw.hidden = !raw.hidden;
      raw.textContent = raw.hidden ? "" : JSON.stringify(activity, null, 2);
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
