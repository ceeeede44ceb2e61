// The field for the next message: Enter sends, Shift+Enter begins a line, and it grows with what is in it.

const MOST_ROWS = 6;

export class Composer {
  constructor(form, field, send) {
    this.field = field;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const text = this.take();
      if (text) send(text);
    });
    field.addEventListener("input", () => this.#grow());
    field.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      form.requestSubmit();
    });
  }

  // Returns what was typed, without the blanks around it, and empties the field.
  take() {
    const text = this.field.value.trim();
    this.field.value = "";
    this.#grow();
    return text;
  }

  #grow() {
    this.field.rows = Math.min(this.field.value.split("\n").length, MOST_ROWS);
  }
}
