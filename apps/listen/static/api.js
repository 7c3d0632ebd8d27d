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
export async function call(path, content, waiting = () => {}) {
  const options = content === undefined ? {} : post(content);
  for (;;) {
    const response = await attempt(path, options);
    if (response) {
      waiting(false);
      const reply = await response.json();
      if (response.ok) return reply;
      throw new Refused(reply.problem, response.status === 409);
    }
    waiting(true);
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MILLISECONDS));
  }
}

/** Send without waiting, also while the tab is being closed. */
export function send(path, content) {
  fetch(path, { ...post(content), keepalive: true }).catch(() => {});
}

/** Samples of a sound: a Float32Array of each channel. */
export async function sound(path, channels, waiting = () => {}) {
  for (;;) {
    const response = await attempt(path, {});
    if (response && response.ok) {
      const body = await response.arrayBuffer().catch(() => null);
      if (body) {
        waiting(false);
        const frames = body.byteLength / 4 / channels;
        return Array.from({ length: channels }, (_, channel) => new Float32Array(body, 4 * channel * frames, frames));
      }
    } else if (response) {
      throw new Refused((await response.json()).problem, response.status === 409);
    }
    waiting(true);
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MILLISECONDS));
  }
}

function post(content) {
  return { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(content) };
}

/** The response; null when there is no server, or one that is just going down. */
async function attempt(path, options) {
  try {
    const response = await fetch(path, options);
    return response.status >= 500 ? null : response;
  } catch {
    return null;
  }
}
