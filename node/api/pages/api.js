// The routes of this address: read once, or followed as a stream of events.

const TOKEN = "carat.token";

/** What the node answered instead of what was asked for. */
export class Refused extends Error {
  constructor(status, problem) {
    super(problem.detail || problem.title || `the node answered ${status}`);
    this.status = status;
    this.problem = problem;
  }
}

function headers(accept) {
  const token = sessionStorage.getItem(TOKEN);
  return token ? { Accept: accept, Authorization: `Bearer ${token}` } : { Accept: accept };
}

/** The token of a login (SEP-10), kept until this tab is closed; none forgets it. */
export const login = (token) => (token ? sessionStorage.setItem(TOKEN, token) : sessionStorage.removeItem(TOKEN));

async function refused(response) {
  const problem = await response.json().catch(() => ({}));
  return new Refused(response.status, problem);
}

/** Reads a route. */
export async function get(path, signal) {
  const response = await fetch(path, { headers: headers("application/json"), signal });
  if (!response.ok) throw await refused(response);
  return response.json();
}

/** The same, or null where there is nothing. */
export async function find(path, signal) {
  try {
    return await get(path, signal);
  } catch (error) {
    if (error instanceof Refused && [400, 404, 410].includes(error.status)) return null;
    throw error;
  }
}

/** The records of a collection. */
export const records = async (path, signal) => (await get(path, signal))._embedded.records;

/**
 * Follows a route until `signal` says stop: `onData` gets each record, `onLink` whether the stream stands. With fetch and not
 * EventSource, which cannot carry a token.
 */
export async function follow(path, signal, onData, onLink) {
  let last = null;
  for (let failures = 0; !signal.aborted; ) {
    try {
      const response = await fetch(path, { headers: { ...headers("text/event-stream"), ...(last && { "Last-Event-ID": last }) }, signal });
      if (!response.ok) throw await refused(response);
      onLink(true);
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let text = ""; ; ) {
        const { value, done } = await reader.read();
        if (done) break;
        failures = 0;
        text += value;
        const events = text.split("\n\n");
        text = events.pop();
        for (const event of events) {
          const fields = Object.fromEntries(event.split("\n").map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 2)]));
          if (fields.id) last = fields.id;
          if (!fields.event && fields.data) onData(JSON.parse(fields.data));
        }
      }
      await pause(100, signal);
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof Refused && error.status < 500 && error.status !== 429) throw error;
      failures += 1;
      onLink(false);
      await pause(Math.min(500 * 2 ** failures, 10_000), signal);
    }
  }
}

const pause = (ms, signal) => new Promise((resolve) => {
  const timer = setTimeout(resolve, ms);
  signal.addEventListener("abort", () => { clearTimeout(timer); resolve(); }, { once: true });
});
