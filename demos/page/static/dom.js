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

// Keeps a box at its end whatever is added, unless its reader has scrolled up; returns what brings the reader back there.
// It looks once for all that was added together: measuring after each addition took half a minute for 2,400 of them.
export function followEnd(box) {
  let follows = true;
  const toEnd = () => {
    follows = true;
    box.scrollTop = box.scrollHeight;
  };
  const keep = () => follows && toEnd();
  box.addEventListener("scroll", () => (follows = box.scrollHeight - box.scrollTop - box.clientHeight < 40));
  new MutationObserver(keep).observe(box, { childList: true, subtree: true });
  new ResizeObserver(keep).observe(box); // a phone's keyboard comes up
  return toEnd;
}

export function clock(seconds) {
  return new Date(seconds * 1000).toLocaleTimeString([], { hour12: false });
}
