// The network in a thread of its own: blocks of the microphone come from the audio worklet and go back to it.
import * as ort from "./onnxruntime.js";
import { DenoisingStream } from "./denoising_stream.js";

const TRIED_HOPS = 60; // before the microphone opens; the first ones are slower
const TOO_SLOW = 0.8; // of real time: the page, the sound and other programs need the rest
const JUDGED_HOPS = 300; // that say whether the browser keeps up
const TOLD_HOPS = 6; // in a message for the page's meters

const fetched = async (name) => {
  const answer = await fetch(new URL(name, import.meta.url));
  if (!answer.ok) throw new Error(`${name}: ${answer.status} ${answer.statusText}`);
  return new Uint8Array(await answer.arrayBuffer());
};

async function load({ file, sample_rate, hop, state_size }) {
  ort.env.wasm.numThreads = 1; // more of them need headers that few web servers send
  ort.env.wasm.wasmBinary = await fetched("onnxruntime.wasm");
  const session = await ort.InferenceSession.create(await fetched(encodeURIComponent(file)));
  const run = async (audio, state) => {
    const inputs = { audio: new ort.Tensor("float32", audio, [1, audio.length]), state: new ort.Tensor("float32", state, [1, state_size]) };
    const { estimate, next_state } = await session.run(inputs);
    return [estimate.data, next_state.data];
  };
  let state = new Float32Array(state_size);
  const times = [];
  for (let hop_number = 0; hop_number < TRIED_HOPS; hop_number++) {
    const begun = performance.now();
    [, state] = await run(new Float32Array(hop).map(() => 0.1 * (Math.random() - 0.5)), state);
    times.push(performance.now() - begun);
  }
  const median = times.sort((one, other) => one - other)[TRIED_HOPS / 2];
  return [run, (median * sample_rate) / hop / 1000];
}

function serve(port, stream, { sample_rate, hop }, muted) {
  let waiting = [];
  let working = false;
  let told = { given: [], cleaned: [], milliseconds: 0 };
  let judged = { samples: 0, milliseconds: 0 };

  function tell(given, cleaned, milliseconds) {
    told.given.push(given);
    told.cleaned.push(cleaned);
    told.milliseconds += milliseconds;
    judged.samples += given.length;
    judged.milliseconds += milliseconds;
    if (told.given.length >= TOLD_HOPS) {
      const share = (told.milliseconds * sample_rate) / 1000 / joined(told.given).length;
      postMessage({ given: joined(told.given), cleaned: joined(told.cleaned), share });
      told = { given: [], cleaned: [], milliseconds: 0 };
    }
    if (judged.samples < JUDGED_HOPS * hop) return;
    const share = (judged.milliseconds * sample_rate) / 1000 / judged.samples;
    if (share > TOO_SLOW) postMessage({ slow: share });
    judged = { samples: 0, milliseconds: 0 };
  }

  async function work() {
    if (working) return;
    working = true;
    while (waiting.length) {
      const given = joined(waiting.splice(0)); // all that waits in one call, so that it catches up
      const begun = performance.now();
      const cleaned = await stream.process(given);
      const milliseconds = performance.now() - begun;
      tell(given, cleaned.slice(), milliseconds);
      if (muted()) cleaned.fill(0);
      port.postMessage(cleaned, [cleaned.buffer]);
    }
    working = false;
  }

  port.onmessage = ({ data }) => {
    waiting.push(data.block);
    work().catch((error) => postMessage({ problem: error.message }));
  };
}

function joined(blocks) {
  const all = new Float32Array(blocks.reduce((sum, block) => sum + block.length, 0));
  blocks.reduce((at, block) => (all.set(block, at), at + block.length), 0);
  return all;
}

let stream = null;
let muted = false;
let model = null;
let run = null;
onmessage = async ({ data }) => {
  try {
    if (data.model) {
      model = data.model;
      let share;
      [run, share] = await load(model);
      postMessage(share > TOO_SLOW ? { slow: share } : { ready: share });
    }
    if (data.strength) {
      muted = data.strength.muted;
      stream?.adjust(data.strength);
    }
    if (data.port) {
      stream = new DenoisingStream(run, model, data.strength);
      serve(data.port, stream, model, () => muted);
    }
  } catch (error) {
    postMessage({ problem: error.message });
  }
};
