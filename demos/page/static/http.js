// Requests to the process that served this page.

export class Refused extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status; // 0: nobody answered
    this.code = code;
  }
}

export async function ask(path, body) {
  const options = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
  options.headers = { "Content-Type": "application/json" };
  let answer, content;
  try {
    answer = await fetch(path, options);
    content = await answer.json();
  } catch {
    throw new Refused(answer?.status ?? 0, "NoAnswer", "the bot does not answer");
  }
  if (answer.ok) return content;
  throw new Refused(answer.status, content.error?.code, content.error?.message ?? answer.statusText);
}

export function socketUrl(path) {
  return `${location.protocol === "https:" ? "wss:" : "ws:"}//${location.host}${path}`;
}

// Holds a WebSocket open. `open` returns its URL, or null to end, each time anew; `closed` is told when one is lost.
export async function keepOpen(open, message, closed = () => {}) {
  for (let failures = 0; ; failures++) {
    if (failures) await pause(Math.min(200 * 2 ** failures, 2000));
    const url = await open();
    if (url === null) return;
    if (url === undefined) continue;
    await new Promise((end) => {
      const socket = new WebSocket(url);
      socket.onopen = () => (failures = 0);
      socket.onmessage = (event) => event.data && message(JSON.parse(event.data));
      socket.onclose = end;
    });
    closed();
  }
}

export function pause(milliseconds) {
  return new Promise((done) => setTimeout(done, milliseconds));
}
