// The picker of the replica that gets the next message, once there are several.

import { ask, pause } from "./http.js";

const LOOK_EVERY = 3000; // milliseconds

export class Replicas {
  // `chosen` is told the replica's URL, or null for the process that served the page; `appeared` of each one found,
  // with a function that says whether it is still there.
  constructor(select, label, chosen, appeared) {
    this.select = select;
    this.label = label;
    this.known = [];
    this.appeared = appeared;
    select.addEventListener("change", () => chosen(select.value === this.known[0] ? null : select.value));
  }

  get several() {
    return this.known.length > 1;
  }

  async watch() {
    for (;;) {
      const found = await ask("/page/replicas").catch(() => this.known);
      if (found.join() !== this.known.join()) this.#show(found);
      await pause(LOOK_EVERY);
    }
  }

  #show(found) {
    const fresh = found.filter((url) => !this.known.includes(url));
    const first = this.known.length === 0;
    this.known = found;
    const picked = this.select.value;
    this.select.replaceChildren(...found.map((url, number) => new Option(new URL(url).host + (number ? "" : " (this page's)"), url)));
    if (found.includes(picked)) this.select.value = picked;
    else this.select.dispatchEvent(new Event("change"));
    this.label.hidden = !this.several;
    for (const url of fresh) this.appeared(first && url === found[0] ? null : url, () => this.known.includes(url));
  }
}
