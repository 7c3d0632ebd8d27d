// The live tab: the microphone is denoised in the browser where it can do that, else on the server, and is played.
const SMALLEST = "tiny"; // of the models
const find = (name) => element.querySelector(name);
const note = find(".live-note");
let microphone = null;
let denoising = null; // where: `inBrowser` or `onServer`
let model = null; // that it runs
const barred = new Map(); // model: why the browser cannot run it, once it was tried
let left = ""; // why nobody wants what starts at the moment
let mode = "cleaned";
let loudest = 0;
let heard = 0; // samples

const strength = () => {
  const { attenuation_limit, mix, model: chosen } = props.value ?? {};
  const model = props.models.includes(chosen) ? chosen : props.models[0];
  return { attenuation_limit, model, mix: mode === "noisy" ? 0 : mix, muted: mode === "mute" };
};

const isHere = (name) => props.engine?.models[name] && !barred.has(name);

// Said before the microphone opens, since it is about what the microphone hears.
function tellWhere() {
  const here = denoising ? denoising.here : isHere(strength().model);
  find(".live-where").textContent = here ? "It is denoised in this browser: nothing leaves this machine." : "The sound goes to the server of this page and back.";
  const { model } = strength();
  const chosen = props.value?.model;
  find(".live-model").textContent = model === chosen ? "" : `The model is ${model}, since ${chosen} hears what follows and is for files.`;
}

function meter(name, samples) {
  const level = 10 * Math.log10(samples.reduce((sum, value) => sum + value * value, 0) / samples.length + 1e-12);
  find(`.live-${name}`).style.width = `${Math.max(0, Math.min(100, (level + 70) * 1.43))}%`;
  find(`.live-${name}-db`).textContent = level < -100 ? "silent" : `${level.toFixed(0)} dB`;
}

const hooks = {
  strength,
  given(samples) {
    meter("in", samples);
    loudest = Math.max(loudest, peakOf(samples));
    const before = heard;
    heard += samples.length;
    const look = 2.4 * (microphone?.rate ?? Infinity);
    if (before < look && heard >= look && loudest === 0) note.textContent = SILENT;
  },
  cleaned: (samples) => meter("out", samples),
  problem: (text) => leave(text),
  note: (text) => (note.textContent = text),
  slow: (error) => again(error),
};

function onState({ late, gaps }) {
  if (!denoising || !microphone) return;
  const queue = (1000 * late) / microphone.rate;
  const device = 1000 * microphone.deviceSeconds;
  const total = queue + denoising.delay + device;
  find(".live-delay").textContent = `${total.toFixed(0)} ms`;
  element.dataset.delay = total.toFixed(1);
  const rows = [
    ["Network and resampling", `${denoising.delay.toFixed(0)} ms`],
    ["Block and buffers", `${queue.toFixed(0)} ms, of them ${denoising.work}`],
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

// Why the sound goes to the server, or nowhere where there is none.
function instead(error) {
  if (!(error instanceof CannotKeepUp)) throw error;
  const problem = `This browser cannot denoise by itself (${error.message})`;
  if (!server) throw new Refused(`${problem}: try ${error.slow && error.slow !== SMALLEST ? `the model ${SMALLEST}, or ` : ""}another browser.`);
  const why = `${problem}: the sound of the microphone goes to the server of this page and back.`;
  for (const name of error.slow ? [error.slow] : props.models) barred.set(name, why);
}

async function openIn(place) {
  denoising = place;
  tellWhere();
  if (!left) microphone = await openMicrophone({ ...place, onState, onEnded: () => leave(GONE) });
  if (!left) await place.open(microphone);
  if (left) throw new Refused(left);
}

async function start() {
  const button = find(".live-start");
  if (button.disabled) return; // it starts already
  button.disabled = true;
  note.textContent = left = "";
  loudest = heard = 0;
  model = strength().model;
  try {
    if (isHere(model)) await inBrowser(props.engine, hooks).then(openIn).catch(async (error) => (await release(), instead(error)));
    if (!microphone) await openIn(onServer(hooks));
    note.textContent = barred.get(model) ?? "";
    button.textContent = "Stop";
    button.setAttribute("aria-pressed", true);
    adjust(); // what was chosen meanwhile
  } catch (error) {
    await stop();
    note.textContent = error.message;
  }
  button.disabled = false;
}

async function release() {
  const [open, place] = [microphone, denoising];
  microphone = denoising = null;
  place?.close();
  await open?.close();
}

async function stop() {
  find(".live-start").textContent = "Start the microphone";
  find(".live-start").setAttribute("aria-pressed", false);
  for (const name of ["in", "out"]) find(`.live-${name}`).style.width = 0;
  await release();
}

// It could not keep up in the middle of a sound.
async function again(error) {
  await stop();
  try {
    instead(error);
    await start();
  } catch (refused) {
    note.textContent = refused.message;
  }
}

async function adjust() {
  if (!microphone) return tellWhere();
  if (strength().model === model) return denoising.adjust();
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
  left = reason;
  if (!microphone || find(".live-start").disabled) return; // where it starts, it looks at `left`
  await stop();
  note.textContent = reason;
}
new ResizeObserver(() => element.offsetParent || leave("Stopped, since this tab was left.")).observe(element);
document.addEventListener("visibilitychange", () => document.hidden && leave("Stopped, since the page was hidden."));
addEventListener("mpeace-play", () => leave("Stopped, since a recording was played."));
addEventListener("pagehide", () => stop());
watch("value", adjust);
tellWhere();
