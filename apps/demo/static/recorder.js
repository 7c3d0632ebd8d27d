// Records the microphone to a 16-bit WAV, sends it, and tells the page its name on the server.
const button = element.querySelector(".rec-button");
const word = element.querySelector(".rec-word");
const note = element.querySelector(".rec-note");
const meter = element.querySelector(".rec-meter i");
let microphone = null;
let blocks = [];
let samples = 0; // in them
let loudest = 0;
const limit = Number((60 * props.minutes).toFixed(3)); // seconds, as they are shown

function header(samples, rate) {
  const view = new DataView(new ArrayBuffer(44));
  const text = (at, letters) => [...letters].forEach((letter, index) => view.setUint8(at + index, letter.charCodeAt(0)));
  text(0, "RIFF"); view.setUint32(4, 36 + 2 * samples, true); text(8, "WAVEfmt ");
  view.setUint32(16, 16, true); view.setUint16(20, 1, true); view.setUint16(22, 1, true);
  view.setUint32(24, rate, true); view.setUint32(28, 2 * rate, true); view.setUint16(32, 2, true); view.setUint16(34, 16, true);
  text(36, "data"); view.setUint32(40, 2 * samples, true);
  return view.buffer;
}

function onBlock(block) {
  const most = Math.floor(60 * props.minutes * microphone.rate) - 1; // one below the limit, for the server's rounding
  blocks.push(toIntegers(block).subarray(0, most - samples));
  samples += blocks.at(-1).length;
  const peak = peakOf(block);
  loudest = Math.max(loudest, peak);
  meter.style.width = `${100 * Math.max(0, 1 + Math.log10(Math.max(peak, 1e-4)) / 3)}%`;
  const seconds = samples / microphone.rate;
  word.textContent = `Stop (${seconds.toFixed(1)} of ${limit} s)`;
  if (seconds > 2 && loudest === 0) note.textContent = SILENT;
  if (samples === most) stop();
}

async function start() {
  note.textContent = "";
  blocks = [];
  samples = loudest = 0;
  button.disabled = true; // while the browser asks
  try {
    microphone = await openMicrophone({ seconds: 0.1, onBlock, onEnded: () => microphone && stop(GONE) });
  } catch (error) {
    note.textContent = error.message;
    return;
  } finally {
    button.disabled = false;
  }
  button.setAttribute("aria-pressed", true);
  word.textContent = "Stop";
}

async function stop(reason = "") {
  const { rate } = microphone;
  microphone.close();
  microphone = null;
  button.setAttribute("aria-pressed", false);
  word.textContent = "Record";
  meter.style.width = 0;
  note.textContent = reason;
  if (!samples) return;
  note.textContent = "Sending …";
  const time = new Date().toTimeString().slice(0, 8).replaceAll(":", "");
  const file = new File([header(samples, rate), ...blocks], `recording_${time}.wav`, { type: "audio/wav" });
  try {
    const { path } = await upload(file);
    note.textContent = reason;
    props.value = { path };
    trigger("submit");
  } catch (error) {
    const save = Object.assign(document.createElement("a"), { href: URL.createObjectURL(file), download: file.name, textContent: "Save it" });
    note.replaceChildren(`The recording could not be sent: ${error.message} `, save);
  }
}

button.addEventListener("click", () => (microphone ? stop() : start()));
