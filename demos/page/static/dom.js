// Elements from texts: whatever a user or a bot says is text, never markup.

export function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [property, value] of Object.entries(properties)) {
    if (property.startsWith("on")) made.addEventListener(property.slice(2), value);
    else if (property in made) made[property] = value;
    else made.setAttribute(property, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

// Keeps a list at its end, unless the reader has scrolled up.
export function atEnd(list, change) {
  const follows = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
  change();
  if (follows) list.scrollTop = list.scrollHeight;
}

export function clock(seconds) {
  return new Date(seconds * 1000).toLocaleTimeString([], { hour12: false });
}
