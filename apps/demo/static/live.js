// The live tab: blocks of the microphone go to the server's stream one after the other, and what comes back is played.
const SECONDS = 0.06; // of a block: six hops of the network
const find = (name) => element.querySelector(name);
const note = find(".live-note");
let microphone = null;
let session = null;
let waiting = []; // blocks that were not sent yet
let sending = false;
let number = 0;
let mode = "cleaned";
let trip = 0; // milliseconds to the server and back, smoothed
let work = 0; // of them, in the network
let loudest = 0;
let heard = 0;

const encode = (integers) => {
  const bytes = new Uint8Array(integers.buffer);
  let text = "";
  for (let start = 0; start < bytes.length; start += 8192) text += String.fromCharCode(...bytes.subarray(start, start + 8192));
  return btoa(text);
};
const decode = (text) => Float32Array.from(new Int16Array(Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer), (value) => value / 32768);
const strength = () => ({ ...(props.value ?? {}), ...(mode === "noisy" ? { mix: 0 } : {}) });
const smooth = (old, value) => (old ? 0.9 * old + 0.1 * value : value);

function meter(name, samples) {
  const level = 10 * Math.log10(samples.reduce((sum, value) => sum + value * value, 0) / samples.length + 1e-12);
  find(`.live-${name}`).style.width = `${Math.max(0, Math.min(100, (level + 70) * 1.43))}%`;
  find(`.live-${name}-db`).textContent = level < -100 ? "silent" : `${level.toFixed(0)} dB`;
}

async function send() {
  if (sending) return;
  sending = true;
  while (waiting.length && session) {
    const blocks = waiting.splice(0);
    const samples = new Int16Array(blocks.reduce((sum, block) => sum + block.length, 0));
    blocks.reduce((at, block) => (samples.set(block, at), at + block.length), 0);
    const begun = performance.now();
    const mine = session;
    const answer = await server.live_block({ token: mine.token, number: number++, samples: encode(samples) }).catch((error) => ({ problem: error.message }));
    if (session !== mine) break;
    if (answer.problem) {
      await stop();
      note.textContent = answer.problem;
      break;
    }
    trip = smooth(trip, performance.now() - begun);
    work = smooth(work, answer.milliseconds);
    const sound = decode(answer.samples);
    meter("out", sound);
    microphone?.play(mode === "mute" ? sound.fill(0) : sound);
  }
  sending = false;
}

function onBlock(block) {
  meter("in", block);
  loudest = Math.max(loudest, peakOf(block));
  if (++heard === 40 && loudest === 0) note.textContent = SILENT;
  waiting.push(toIntegers(block));
  send();
}

function onState({ late, gaps }) {
  if (!session || !microphone) return;
  const queue = (1000 * late) / microphone.rate;
  const network = session.delay_ms;
  const device = 1000 * microphone.deviceSeconds;
  const total = queue + network + device;
  find(".live-delay").textContent = `${total.toFixed(0)} ms`;
  element.dataset.delay = total.toFixed(1);
  const rows = [
    ["Network and resampling", `${network.toFixed(0)} ms`],
    ["Block and buffers", `${queue.toFixed(0)} ms, of them ${trip.toFixed(0)} to the server and back, ${work.toFixed(1)} computing`],
    ["Sound device, as the browser tells", `${device.toFixed(0)} ms`],
    ["Gaps", `${gaps}`],
    ["Rate", `${microphone.rate / 1000} kHz`],
  ];
  find(".live-figures").replaceChildren(
    ...rows.map(([name, text]) => {
      const box = document.createElement("div");
      box.append(...[["dt", name], ["dd", text]].map(([tag, words]) => Object.assign(document.createElement(tag), { textContent: words })));
      return box;
    }),
  );
}

async function start() {
  const button = find(".live-start");
  if (button.disabled) return; // it starts already
  button.disabled = true;
  note.textContent = "";
  try {
    waiting = [];
    number = trip = work = loudest = heard = 0;
    microphone = await openMicrophone({ seconds: SECONDS, onBlock, onState });
    const { model } = strength();
    const answer = await server.live_open({ sample_rate: microphone.rate, block: microphone.block, ...strength() });
    if (answer.problem) throw new Refused(answer.problem);
    microphone.forget(waiting.splice(0).reduce((sum, block) => sum + block.length, 0));
    session = { ...answer, model };
    button.textContent = "Stop";
    button.setAttribute("aria-pressed", true);
    adjust(); // what was chosen meanwhile
  } catch (error) {
    await stop();
    note.textContent = error.message;
  }
  button.disabled = false;
}

async function stop() {
  const [open, mine] = [microphone, session];
  microphone = session = null;
  find(".live-start").textContent = "Start the microphone";
  find(".live-start").setAttribute("aria-pressed", false);
  for (const name of ["in", "out"]) find(`.live-${name}`).style.width = 0;
  await open?.close();
  if (mine) server.live_close({ token: mine.token }).catch(() => {});
}

async function adjust() {
  if (!session) return;
  const { model, ...rest } = strength();
  if (model === session.model) return server.live_adjust({ token: session.token, ...rest }).catch(() => {});
  await stop();
  await start();
}

find(".live-start").addEventListener("click", () => (microphone ? stop() : start()));
for (const button of element.querySelectorAll(".live-modes button"))
  button.addEventListener("click", () => {
    mode = button.dataset.mode;
    for (const other of element.querySelectorAll(".live-modes button")) other.setAttribute("aria-pressed", other === button);
    adjust();
  });
// Nobody is listened to, and nothing plays, where it is not seen.
async function leave(reason) {
  if (!microphone) return;
  await stop();
  note.textContent = reason;
}
new ResizeObserver(() => element.offsetParent || leave("Stopped, since this tab was left.")).observe(element);
document.addEventListener("visibilitychange", () => document.hidden && leave("Stopped, since the page was hidden."));
addEventListener("mpeace-play", () => leave("Stopped, since a recording was played."));
addEventListener("pagehide", () => stop());
watch("value", adjust);
