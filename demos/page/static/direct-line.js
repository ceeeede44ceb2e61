// A Direct Line 3.0 client that outlives the bot's process.

import { Refused, ask, keepOpen, socketUrl } from "./http.js";

const ROOT = "/v3/directline/conversations";

export class DirectLine {
  // `on`: begun(conversation), activity(activity), unreadable(activity, error), away(), back(seconds), gone(reason)
  constructor(user, conversation, on) {
    this.user = user;
    this.conversation = conversation;
    this.on = on;
    this.watermark = "";
    this.awaySince = null;
    this.query = ""; // which replica
    this.#forget();
    if (conversation !== null) this.knows();
  }

  async connect() {
    if (this.conversation === null) await this.#begin();
    await keepOpen(
      () => this.#streamUrl(),
      (set) => {
        this.watermark = set.watermark;
        for (const activity of set.activities) {
          try {
            this.on.activity(activity);
          } catch (error) {
            this.on.unreadable(activity, error); // one that nobody can show must not hide those after it
          }
        }
      },
      () => this.#lost(),
    );
  }

  async post(activity) {
    await this.known;
    return ask(`${ROOT}/${encodeURIComponent(this.conversation)}/activities${this.query}`, {
      from: this.user,
      locale: navigator.language,
      localTimestamp: localTime(new Date()),
      localTimezone: Intl.DateTimeFormat().resolvedOptions().timeZone,
      ...activity,
    });
  }

  #forget() {
    this.known = new Promise((resolve) => (this.knows = resolve)); // the conversation: until then nothing can be said
  }

  async #begin() {
    const begun = await ask(`${ROOT}${this.query}`, { user: this.user });
    this.conversation = begun.conversationId;
    this.watermark = "";
    this.knows();
    this.on.begun(this.conversation);
  }

  async #streamUrl() {
    try {
      const path = `${ROOT}/${encodeURIComponent(this.conversation)}`;
      const found = await ask(`${path}?watermark=${this.watermark}`);
      if (this.awaySince !== null) this.on.back((Date.now() - this.awaySince) / 1000);
      this.awaySince = null;
      const stream = new URL(found.streamUrl);
      return socketUrl(stream.pathname + stream.search);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      await this.#recover(error);
    }
  }

  async #recover(error) {
    if (error.status === 404) {
      this.#forget();
      this.on.gone("The storage does not know this conversation any more; this is a new one.");
      this.awaySince = null;
      await this.#begin().catch(() => this.#lost());
    } else if (error.status === 400) {
      this.on.gone("The conversation is shorter than this page remembered; here it is again, from its beginning.");
      this.watermark = "";
    } else this.#lost();
  }

  #lost() {
    if (this.awaySince !== null) return;
    this.awaySince = Date.now();
    this.on.away();
  }
}

// As Web Chat sends it: 2026-03-29T14:30:00.000+02:00
function localTime(now) {
  const offset = -now.getTimezoneOffset();
  const two = (number) => String(Math.floor(Math.abs(number))).padStart(2, "0");
  const local = new Date(now.getTime() + offset * 60_000).toISOString().slice(0, -1);
  return `${local}${offset < 0 ? "-" : "+"}${two(offset / 60)}:${two(offset % 60)}`;
}
