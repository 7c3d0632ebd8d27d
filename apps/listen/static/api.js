/* The calls to the server. A call that finds no server is tried again until it does: an answer is never lost. */

const AGAIN_MILLISECONDS = 1500;

/** What the server says is wrong with a call; `gone` when the page is not the listener's any more. */
export class Refused extends Error {
  constructor(message, gone) {
    super(message);
    this.gone = gone;
  }
}

/** JSON from the server. waiting(true) is called when it does not answer, waiting(false) when it does again. */
export function call(path, content, waiting = () => {}) {
  return reply(path, content === undefined ? {} : post(content), (response) => response.json(), waiting);
}

/** Send without waiting, also while the tab is being closed. */
export function send(path, content) {
  fetch(path, { ...post(content), keepalive: true }).catch(() => {});
}

/** Samples of a sound: a Float32Array of each channel. */
export async function sound(path, channels, waiting = () => {}) {
  const body = await reply(path, {}, (response) => response.arrayBuffer(), waiting);
  const frames = body.byteLength / 4 / channels;
  return Array.from({ length: channels }, (_, channel) => new Float32Array(body, 4 * channel * frames, frames));
}

function post(content) {
  return { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(content) };
}

async function reply(path, options, read, waiting) {
  for (;;) {
    const come = await attempt(path, options, read);
    if (come) {
      waiting(false);
      if (come.refused) throw come.refused;
      return come.content;
    }
    waiting(true);
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MILLISECONDS));
  }
}

/** All of the response; null when there is no server, or one that is just going down. */
async function attempt(path, options, read) {
  try {
    const response = await fetch(path, options);
    if (response.ok) return { content: await read(response) };
    if (response.status >= 500) return null;
    const plain = response.headers.get("Content-Type")?.startsWith("text/plain"); // not of a call: of what is before it
    const problem = plain ? await response.text() : (await response.json()).problem;
    return { refused: new Refused(problem, response.status === 409) };
  } catch {
    return null;
  }
}
