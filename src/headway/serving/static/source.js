// Where answers come from: the server, or, in a page saved as one file, the answers kept in it.

const RETRIES = 3;
const LONGEST_WAIT = 5;

const recorded = window.HEADWAY_RECORDED ?? null;
const heard = new Map();
let askForKey = null;

/** Whether this page is a saved file, whose answers are all there is. */
export function isSavedFile() {
  return recorded !== null;
}

/** Whether a saved file holds an answer from this path. */
export function isKept(path) {
  return Object.keys(recorded.answers).some((name) => name.split(" ")[1].startsWith(path));
}

/** The view that a saved file opens with. */
export function savedHash() {
  return recorded?.hash ?? "";
}

/** Something that went wrong, in words for the person at the page. */
class Trouble extends Error {
  constructor(message, status = 0) {
    super(message);
    this.status = status;
  }
}

/** Tells how to ask for the server's key; `ask` gives a promise of whether one was entered. */
export function onKeyNeeded(ask) {
  askForKey = ask;
}

export function keepKey(key) {
  sessionStorage.setItem("headway-key", key);
}

/** JSON with sorted keys: equal requests are equal texts. */
function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  const keys = Object.keys(value)
    .filter((key) => value[key] !== undefined)
    .sort();
  return `{${keys.map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`).join(",")}}`;
}

/** What a request is called among the answers of a saved file. */
function nameOf(path, body) {
  return body === undefined ? `GET ${path}` : `POST ${path} ${canonical(body)}`;
}

/**
 * The answer to a request: GET without a body, POST with one. Raises Trouble, or AbortError when cancelled.
 */
export async function fetchJson(path, body, signal) {
  const name = nameOf(path, body);
  if (recorded) {
    if (name in recorded.answers) return recorded.answers[name];
    throw new Trouble("This was not kept in the saved file. Open it in a running Headway to see it.");
  }
  const response = await request(path, body, signal);
  const answer = await response.json().catch(() => {
    if (signal?.aborted) throw signal.reason;
    throw new Trouble("The server's answer could not be read.");
  });
  heard.set(name, answer);
  return answer;
}

/** Calls `onEvent` with each part of a streamed answer. */
export async function streamEvents(path, body, onEvent, signal) {
  const name = nameOf(path, body);
  if (recorded) {
    if (!(name in recorded.answers)) throw new Trouble("A saved file cannot write anything new.");
    return recorded.answers[name].forEach(onEvent);
  }
  const response = await request(path, body, signal);
  const events = [];
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return undefined;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) {
      if (!line.startsWith("data:")) continue;
      const data = line.slice(5).trim();
      if (data === "[DONE]") return void heard.set(name, events);
      const event = JSON.parse(data);
      if (event.error) throw new Trouble(messageOf(event));
      events.push(event);
      onEvent(event);
    }
  }
}

/** The page as one file with these answers inside, as the server puts it together. */
export async function savedPage(hash, answers) {
  const response = await request("/single-file", { hash, answers });
  return response.blob();
}

/** The answers heard since the view was opened, by name. */
export function heardAnswers() {
  return Object.fromEntries(heard);
}

/** Forget what the last view asked for; what every view needs is kept. */
export function forgetHeard() {
  for (const name of heard.keys()) if (name !== "GET /api/models") heard.delete(name);
}

async function request(path, body, signal) {
  for (let attempt = 0; ; attempt += 1) {
    const response = await send(path, body, signal);
    if (response.ok) return response;
    if (response.status === 401 && askForKey && (await askForKey())) continue;
    const busy = response.status === 429 || response.status === 503;
    if (!busy || attempt === RETRIES) throw new Trouble(await reasonOf(response), response.status);
    const seconds = Number(response.headers.get("Retry-After")) || 1;
    await pause(Math.min(seconds, LONGEST_WAIT) * 1000, signal);
  }
}

async function send(path, body, signal) {
  const headers = {};
  const key = sessionStorage.getItem("headway-key");
  if (key) headers.Authorization = `Bearer ${key}`;
  const settings = { signal, headers };
  if (body !== undefined) {
    headers["Content-Type"] = "application/json";
    Object.assign(settings, { method: "POST", body: JSON.stringify(body) });
  }
  try {
    return await fetch(`.${path}`, settings); // relative: the server may lie below a path of its own
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Trouble("The server does not answer. Is it still running?");
  }
}

async function reasonOf(response) {
  const answer = await response.json().catch(() => null);
  return answer ? messageOf(answer) : `The server answered ${response.status} ${response.statusText}.`;
}

/** What an error says, in the shape of whichever interface it came from. */
function messageOf(answer) {
  const { error, detail } = answer;
  if (typeof error === "string") return error;
  if (error?.message) return error.message;
  if (typeof detail === "string") return detail;
  if (Array.isArray(detail)) return detail.map((part) => part.msg ?? String(part)).join("; ");
  return "The server refused this without a reason.";
}

function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}

/** Runs one task at a time: a newer one cancels the one before, after a moment without further ones. */
export class Latest {
  constructor(delay = 0) {
    this.delay = delay;
    this.controller = null;
    this.timer = 0;
  }

  /** `task` gets an AbortSignal; `onError` hears of anything but cancellation. */
  run(task, onError) {
    this.cancel();
    const controller = new AbortController();
    this.controller = controller;
    const start = async () => {
      try {
        await task(controller.signal);
      } catch (error) {
        if (!controller.signal.aborted) onError(error);
      }
    };
    if (this.delay) this.timer = setTimeout(start, this.delay);
    else start();
  }

  cancel() {
    clearTimeout(this.timer);
    this.controller?.abort();
    this.controller = null;
  }
}
