// Puts the page together: who talks in which conversation, what the buttons do, what is shown of the state.

import { Composer } from "./composer.js";
import { DirectLine } from "./direct-line.js";
import { Documents } from "./documents.js";
import { element, followEnd } from "./dom.js";
import { ask, keepOpen, pause, socketUrl } from "./http.js";
import { Messages, shortId } from "./messages.js";
import { Replicas } from "./replicas.js";
import { Turns } from "./turns.js";

const STATE_EVERY = 2000; // milliseconds: for what changes without a turn of ours; turns are shown at once
const $ = (id) => document.getElementById(id);

// Who this window is: named in its address for a further user, else this browser's user in their last conversation.
const named = new URLSearchParams(location.search);
const user = named.get("user")?.trim();
const own = !user && !named.get("conversation");
const me = {
  id: user || stored("state-bot.user", () => `user-${crypto.randomUUID().slice(0, 8)}`),
  name: named.get("name") || "User",
};

const messages = new Messages($("messages"), followEnd($("messages").parentElement), me, deliverAgain);
const documents = new Documents($("documents"));
const turns = new Turns($("turns"));
followEnd($("turns").parentElement);
const line = new DirectLine(me, own ? localStorage.getItem("state-bot.conversation") : named.get("conversation") || null, {
  begun: (conversation) => {
    if (own) localStorage.setItem("state-bot.conversation", conversation);
    else history.replaceState(null, "", `/?${new URLSearchParams({ conversation, user: me.id, name: me.name })}`);
    offerSecond();
  },
  activity: received,
  unreadable: (activity, error) => messages.note(`#${shortId(activity.id)} cannot be shown: ${error.message}`, "bad"),
  away: () => status("The bot is away: reconnecting", "away"),
  back: async (seconds) => {
    messages.note(`The bot is back after ${seconds.toFixed(1)} s. The conversation goes on.`, "good");
    await about();
  },
  gone: (reason) => {
    messages.clear();
    turns.clear();
    messages.note(reason, "bad");
  },
});
const composer = new Composer($("say"), $("text"), say);
const replicas = new Replicas($("replica"), $("replica-choice"), (replica) => {
  line.query = replica ? `?replica=${encodeURIComponent(replica)}` : "";
}, watchTurns);

function stored(name, make) {
  if (!localStorage.getItem(name)) localStorage.setItem(name, make());
  return localStorage.getItem(name);
}

function status(text, kind = "") {
  $("status").textContent = text;
  $("status").className = kind;
}

async function about() {
  const { storage, pid, process } = await ask("/page/about");
  status(`connected to process ${process.slice(0, 8)}`, "good");
  $("status").title = `pid ${pid}, which a restart keeps`;
  $("storage").textContent = storage;
  return process;
}

function received(activity) {
  messages.show(activity);
  if (activity.from.role !== "bot") return;
  $("suggestions").replaceChildren(
    ...(activity.suggestedActions?.actions ?? []).map((action) =>
      element("button", { type: "button", onclick: () => say(String(action.value ?? action.title)) }, action.title),
    ),
  );
}

// Sends a message and returns the id that it has now, or null where the bot did not take it.
async function say(text) {
  $("suggestions").replaceChildren();
  const clientActivityID = crypto.randomUUID();
  const activity = { type: "message", text, textFormat: "plain", channelData: { clientActivityID } };
  messages.sending({ ...activity, from: me });
  try {
    return (await line.post(activity)).id;
  } catch (error) {
    const taken = error.code === "BotError"; // by the channel, which has shown it under its id: deliver that again
    const what = error.status ? "Not sent" : "Sent or not, nobody knows yet";
    if (taken) messages.outcome(clientActivityID, `${error.message}. Nothing is lost: deliver it again.`);
    else messages.failed(clientActivityID, `${what}: ${error.message}.`, () => say(text));
    return null;
  } finally {
    refresh();
  }
}

async function deliverAgain(activity) {
  const before = turns.of(activity).length;
  try {
    await ask(`/page/redeliver${line.query}`, { conversation: line.conversation, activity });
    messages.outcome(activity, null);
    const [{ known, stored } = {}] = (await turns.over([activity], before + 1)).slice(-1);
    const outcome = known
      ? "The ledger knew it: it did not count again."
      : stored
        ? "No earlier delivery was committed: it counts now."
        : "Nothing was stored, the first time or now: nothing could count twice.";
    messages.note(`#${shortId(activity)} was delivered again. ${outcome}`, "good");
  } catch (error) {
    messages.outcome(activity, error.message);
  }
  refresh();
}

const lessons = {
  async twice() {
    await pause(1010 - (Date.now() % 1000)); // the sample keeps the time in seconds: within one, nothing would change
    const id = await say(composer.take() || "This arrives twice");
    if (id) await deliverAgain(id);
  },
  async burst() {
    const begun = performance.now();
    const ids = await Promise.all(Array.from({ length: 20 }, (_, number) => say(`burst ${number + 1}`)));
    const seconds = ((performance.now() - begun) / 1000).toFixed(1);
    const taken = ids.filter((id) => id);
    const stored = (await turns.over(taken, 1)).filter((turn) => turn.stored).length;
    messages.note(
      `20 sent, ${taken.length} taken in ${seconds} s, one after the other. Changed the state, and now in the ledger: ` +
        `${stored}. Found it as they would leave it: ${taken.length - stored} (the sample keeps the time in seconds).`,
      "good",
    );
  },
  async restart() {
    try {
      await ask(`/page/restart${line.query}`, {});
      messages.note("The process was replaced by a new one, with nothing finished, saved or closed.");
    } catch (error) {
      messages.note(`No restart: ${error.message}.`, "bad");
    }
  },
  fresh() {
    if (!own) return void (location.search = new URLSearchParams({ user: me.id, name: me.name }));
    localStorage.removeItem("state-bot.conversation");
    location.reload();
  },
};

for (const [name, lesson] of Object.entries(lessons)) {
  $(name).addEventListener("click", async () => {
    $(name).disabled = true;
    await Promise.resolve(lesson()).finally(() => ($(name).disabled = false));
  });
}

// A title alone is for who has a mouse, and waits.
for (const lesson of $("lessons").children) {
  for (const event of ["focus", "pointerenter"]) {
    lesson.addEventListener(event, () => ($("lesson").textContent = lesson.title));
  }
}

// Each time it is used, the link is for somebody new.
$("second").addEventListener("click", () => setTimeout(offerSecond));
function offerSecond() {
  const user = `user-${crypto.randomUUID().slice(0, 8)}`;
  $("second").href = `/?${new URLSearchParams({ conversation: line.conversation, user, name: `User ${user.slice(-2)}` })}`;
}

// What is stored: asked for after each event, one request at a time, and now and then.
let asking = null;
function refresh() {
  asking ??= pause(50).then(async () => {
    asking = null;
    if (line.conversation === null) return;
    const query = new URLSearchParams({ conversation: line.conversation, user: me.id });
    await ask(`/page/state?${query}`).then((found) => documents.show(found), () => {}); // away: what was shown stays
  });
}

function watchTurns(replica, isWanted) {
  let after = "";
  keepOpen(
    async () => {
      if (!isWanted()) return null;
      if (line.conversation === null) return undefined;
      const query = new URLSearchParams({ conversation: line.conversation, after, ...(replica ? { replica } : {}) });
      return socketUrl(`/page/events?${query}`);
    },
    (event) => {
      after = event.id;
      turns.show(event, replicas.several ? replica : null);
      refresh();
    },
  );
}

// A second tab of this browser is the same user in the same conversation; it says so, and both show everything.
const tabs = new BroadcastChannel("state-bot");
tabs.onmessage = ({ data }) => {
  if (data.user !== me.id || data.conversation !== line.conversation) return;
  messages.note("This conversation is open in another tab too, as the same user: both show all of it.");
  if (data.hello) tabs.postMessage({ ...data, hello: false });
};

$("who").textContent = own ? "" : `as ${me.name}`;
if (!own) document.title = `State bot: ${me.name}`;
about().catch(() => status("The bot is away: reconnecting", "away"));
setInterval(() => document.hidden || refresh(), STATE_EVERY);
replicas.watch();
if (line.conversation) offerSecond();
const connected = line.connect();
pause(500).then(() => tabs.postMessage({ user: me.id, conversation: line.conversation, hello: true }));
connected.catch((error) => {
  status("not connected", "away");
  messages.note(`${error.message}.`, "bad");
});
