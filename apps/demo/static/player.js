// The A/B player. Input and network output are channels of one buffer, played by one source, so that no delay of the page
// can part them. Noisy, cleaned and removed are three settings of two gains: noisy = dry, cleaned = (1 - w) dry + w wet,
// removed = w (dry - wet). Switching, and a new strength w, only move the gains, at the same sample and without a click.
const FADE = 0.012; // seconds
const AHEAD = 0.02; // seconds from the call of the page until a fade begins, so that both gains hear of it in time
const TOUR = 2.5; // seconds of noise before an example turns clean by itself
const find = (name) => element.querySelector(name);
const all = (name) => [...element.querySelectorAll(name)];
const gains = (mode, w) => ({ noisy: [1, 0], cleaned: [1 - w, w], removed: [w, -w] })[mode];
const WORDS = { noisy: "noisy", cleaned: "cleaned", removed: "removed noise" };

let context = null;
let buffer = null; // channels of dry, then as many of wet
let amplifiers = null; // of dry and wet
let source = null; // while playing
let fading = { begin: 0, end: 0, from: [0, 0], to: [0, 0] }; // the latest move of the gains, on the clock of the context
let view = {};
let mode = "noisy";
let loop = true;
let startedAt = 0; // on the clock of the context, for position 0
let position = 0; // seconds, while not playing
let tour = null;
let asked = ""; // key of the sound that is wanted

function audio() {
  if (!context) {
    context = new AudioContext();
    amplifiers = [0, 1].map(() => new GainNode(context, { gain: 0 }));
    amplifiers.forEach((amplifier) => amplifier.connect(context.destination));
  }
  return context;
}

const address = (path) =>
  `${(window.gradio_config?.root ?? "").replace(/\/$/, "")}/gradio_api/file=${path.split("/").map(encodeURIComponent).join("/")}`;

async function sound(path) {
  const answer = await fetch(address(path));
  if (!answer.ok) throw new Error(`status ${answer.status}`);
  return audio().decodeAudioData(await answer.arrayBuffer());
}

function join(dry, wet) {
  const channels = [dry, wet].flatMap((part) => Array.from({ length: part.numberOfChannels }, (_, channel) => part.getChannelData(channel)));
  const joined = new AudioBuffer({ numberOfChannels: channels.length, length: dry.length, sampleRate: dry.sampleRate });
  channels.forEach((samples, channel) => joined.copyToChannel(samples, channel));
  return joined;
}

function wire(node) {
  const splitter = new ChannelSplitterNode(context, { numberOfOutputs: buffer.numberOfChannels });
  node.connect(splitter);
  const channels = buffer.numberOfChannels / 2;
  amplifiers.forEach((amplifier, side) => {
    const merger = new ChannelMergerNode(context, { numberOfInputs: channels });
    for (let channel = 0; channel < channels; channel++) splitter.connect(merger, side * channels + channel, channel);
    merger.connect(amplifier);
  });
}

function now() {
  if (!source) return position;
  const played = Math.max(0, context.currentTime - startedAt);
  return loop ? played % view.seconds : Math.min(played, view.seconds);
}

function mix(fade = FADE) {
  if (!amplifiers) return;
  const begin = context.currentTime + AHEAD;
  const left = Math.max(0, Math.min(1, (fading.end - begin) / (fading.end - fading.begin || 1)));
  const from = fading.to.map((value, side) => value + left * (fading.from[side] - value));
  fading = { begin, end: begin + fade, from, to: gains(mode, view.weight ?? 1) };
  amplifiers.forEach(({ gain }, side) => {
    gain.cancelScheduledValues(begin);
    gain.linearRampToValueAtTime(fading.from[side], begin); // the rest of the fade before
    gain.linearRampToValueAtTime(fading.to[side], fading.end);
  });
}

async function play(from = position) {
  if (!buffer) return;
  dispatchEvent(new Event("mpeace-play")); // the live tab stops for it
  await audio().resume();
  halt();
  if (!loop && from >= view.seconds - 0.01) from = 0;
  const when = context.currentTime + 0.03;
  const mine = (source = new AudioBufferSourceNode(context, { buffer, loop }));
  wire(mine);
  mine.onended = () => source === mine && pause(0);
  mine.start(when, Math.min(from, buffer.duration));
  startedAt = when - from;
  mix(0.001);
  show();
  requestAnimationFrame(tick);
}

function halt() {
  source?.stop();
  source = null;
}

function pause(at = now()) {
  clearTimeout(tour);
  halt();
  position = at;
  show();
}

function seek(seconds) {
  position = Math.max(0, Math.min(seconds, view.seconds));
  source ? play(position) : show();
}

function choose(next, byPerson = true) {
  if (byPerson) clearTimeout(tour);
  mode = next;
  mix();
  for (const button of all(".mp-modes button")) {
    const chosen = button.dataset.mode === mode;
    button.setAttribute("aria-checked", chosen);
    button.tabIndex = chosen ? 0 : -1;
  }
  all(".mp-lane").forEach((lane) => lane.classList.toggle("mp-heard", lane.dataset.mode === mode));
  find(".mp-status").textContent = `You hear: ${WORDS[mode]}`;
}

const clock = (seconds) => `${Math.floor(seconds / 60)}:${(seconds % 60).toFixed(1).padStart(4, "0")}`;

function show() {
  const at = now();
  const button = find(".mp-play");
  button.setAttribute("aria-label", source ? "Pause" : "Play");
  button.classList.toggle("mp-playing", Boolean(source));
  find(".mp-time").textContent = `${clock(at)} / ${clock(view.seconds ?? 0)}`;
  const bar = find(".mp-seek");
  bar.value = at;
  bar.setAttribute("aria-valuetext", `${at.toFixed(1)} of ${(view.seconds ?? 0).toFixed(1)} seconds`);
  element.style.setProperty("--mp-at", view.seconds ? at / view.seconds : 0);
}

function tick() {
  if (!source) return;
  show();
  requestAnimationFrame(tick);
}

function draw() {
  find(".mp-name").textContent = view.name;
  find(".mp-seek").max = view.seconds;
  for (const lane of all(".mp-lane:not(.mp-levels)")) {
    lane.querySelector("img").src = view.pictures[lane.dataset.mode];
    lane.querySelector(".mp-axis").replaceChildren(...view.ticks.map(([label, height]) => mark(label, height)));
  }
  const top = Math.max(...Object.values(view.levels).flat().filter(Number.isFinite), -60);
  const range = [10 * Math.ceil(top / 10) - 60, 10 * Math.ceil(top / 10)];
  const axis = find(".mp-levels .mp-axis");
  axis.replaceChildren(...[0.17, 0.5, 0.83].map((at) => mark(Math.round(range[0] + 60 * at), at)));
  for (const line of all(".mp-levels polyline")) {
    const values = view.levels[line.dataset.mode];
    const y = (level) => 100 - Math.max(0, Math.min(1, (level - range[0]) / 60)) * 98 - 1;
    const x = (index) => (1000 * (index + 0.5)) / values.length;
    line.setAttribute("points", values.map((level, index) => `${x(index)},${y(level)}`).join(" "));
  }
  const digits = view.seconds < 10 ? 1 : 0;
  const times = [0, 0.25, 0.5, 0.75, 1].map((at) => Object.assign(document.createElement("span"), { textContent: `${(at * view.seconds).toFixed(digits)} s` }));
  find(".mp-times").replaceChildren(...times);
  find(".mp-low").textContent = view.scale[0];
  find(".mp-high").textContent = view.scale[1];
  const terms = view.figures.flatMap(([name, text]) => {
    const box = document.createElement("div");
    box.append(...[["dt", name], ["dd", text]].map(([tag, words]) => Object.assign(document.createElement(tag), { textContent: words })));
    return box;
  });
  find(".mp-figures").replaceChildren(...terms);
  const link = find(".mp-download");
  const file = view.download;
  link.setAttribute("aria-disabled", !file);
  file ? (link.href = `${address(file.path)}?v=${view.version}`) : link.removeAttribute("href"); // each strength has its own
  link.download = file?.name ?? "";
  const size = file && (file.bytes < 1e6 ? `${Math.ceil(file.bytes / 1000)} kB` : `${(file.bytes / 1e6).toFixed(1)} MB`);
  link.textContent = file ? `Download ${file.name} (${size})` : "Writing the download …";
}

function mark(label, height) {
  const span = Object.assign(document.createElement("span"), { textContent: label });
  span.style.bottom = `${100 * height}%`;
  return span;
}

async function update() {
  const next = props.value;
  find(".mp-empty").hidden = Boolean(next?.key);
  find(".mp-body").hidden = !next?.key;
  if (!next?.key) return pause(0);
  if (next.key === view.key && next.version < view.version) return;
  view = next;
  if (view.key === asked) {
    draw();
    return mix();
  }
  asked = view.key;
  const sounds = Promise.all([sound(view.sounds.noisy), sound(view.sounds.wet)]); // comes while the page is drawn
  sounds.catch(() => {}); // told below
  draw();
  pause(0);
  clearTimeout(tour);
  buffer = null;
  choose(next.tour ? "noisy" : mode, false);
  if (element.getBoundingClientRect().top > innerHeight / 2) find(".mp").scrollIntoView({ behavior: "smooth" });
  try {
    const both = await sounds;
    if (asked !== next.key) return;
    buffer = join(...both);
  } catch (error) {
    find(".mp-status").textContent = `The sound could not be fetched (${error.message}): load the file again.`;
    return;
  }
  element.dataset.loaded = view.key;
  if (next.tour) {
    await play(0);
    tour = setTimeout(() => choose("cleaned", false), 1000 * TOUR);
  } else show();
}

find(".mp-play").addEventListener("click", () => (source ? pause() : play()));
find(".mp-loop").addEventListener("click", ({ currentTarget }) => {
  const playing = Boolean(source);
  pause();
  loop = !loop;
  currentTarget.setAttribute("aria-pressed", loop);
  if (playing) play();
});
find(".mp-seek").addEventListener("input", (event) => seek(Number(event.target.value)));
find(".mp-download").addEventListener("click", (event) => view.download || event.preventDefault());
for (const button of all(".mp-modes button")) button.addEventListener("click", () => choose(button.dataset.mode));
find(".mp-modes").addEventListener("keydown", (event) => {
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  if (!step) return;
  event.preventDefault();
  const buttons = all(".mp-modes button");
  const index = buttons.findIndex((button) => button.dataset.mode === mode);
  const next = buttons[(index + step + buttons.length) % buttons.length];
  choose(next.dataset.mode);
  next.focus();
});
for (const lane of all(".mp-lane")) {
  const surface = lane.querySelector("img, svg");
  surface.addEventListener("click", (event) => {
    const box = surface.getBoundingClientRect();
    if (lane.dataset.mode) choose(lane.dataset.mode);
    seek(((event.clientX - box.left) / box.width) * view.seconds);
    if (!source) play();
  });
}
document.addEventListener("keydown", (event) => {
  if (!element.isConnected || !element.offsetParent || !view.key || event.ctrlKey || event.metaKey || event.altKey) return;
  const target = event.target;
  if (target.isContentEditable || target.matches("textarea, select, input:not([type=range], [type=checkbox])")) return;
  const chosen = { a: "noisy", b: "cleaned", r: "removed" }[event.key.toLowerCase()];
  if (chosen) return choose(chosen);
  if (event.key === " " && !target.closest("button, a, input, summary, label, [role=button], [role=tab]")) {
    event.preventDefault();
    source ? pause() : play();
  }
});
// Browsers let sound begin only after a person did something; a click anywhere will do.
document.addEventListener("pointerdown", () => audio().resume(), { once: true, capture: true });
document.addEventListener("keydown", () => audio().resume(), { once: true, capture: true });
watch("value", update);
update();
