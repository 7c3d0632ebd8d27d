// The microphone as it is: without the browser's own noise suppression, which would leave nothing to hear.
// One audio worklet captures and plays, so that it can tell by its own clock how late a sample comes back.
const WORKLET = `
class Duplex extends AudioWorkletProcessor {
  constructor({ processorOptions: { block, margin, settling } }) {
    super();
    this.block = new Float32Array(block);
    this.filled = 0; // of the block that is being captured
    this.queue = []; // what came back and was not played yet
    this.offset = 0; // in the first of the queue
    this.waiting = 0; // samples in the queue
    this.margin = margin; // samples that wait when a block comes as late as any: room for later ones
    this.settling = settling; // samples after which it plays
    this.soon = settling / 128; // quanta: of two gaps, so that the second one tells that blocks come later now
    this.oldest = 0; // samples: of all that came back before it plays, how long ago the first one of a block was captured
    this.least = Infinity; // samples that waited, since the last look
    this.captured = this.came = this.quanta = this.gaps = 0;
    this.lastGap = -Infinity; // in quanta
    this.missed = 0; // samples that were not there when it was their turn, since it ran dry
    this.playing = this.dry = false;
    this.to = this.port; // who gets the blocks
    this.port.onmessage = ({ data }) => {
      if (data.port) this.connect(data.port);
      else if (data.unsent !== undefined) this.captured -= data.unsent;
      else this.receive(data);
    };
  }
  connect(port) { // to a worker: blocks go there and come back without the page
    this.to = port;
    this.filled = this.captured = this.came = 0;
    port.onmessage = ({ data }) => this.receive(data);
  }
  receive(samples) {
    this.oldest = Math.max(this.oldest, this.captured - this.came);
    this.came += samples.length;
    if (this.dry) samples = this.late(samples);
    if (samples.length) {
      this.dry = false;
      this.push(samples);
    }
    if (!this.playing && this.came >= this.settling) this.begin();
  }
  late(samples) { // what is left to be played: one late block leaves the delay as it was, others soon after it add to it
    this.firstLate ??= this.quanta;
    if (this.again || (this.quanta - this.firstLate) * 128 > this.margin + this.block.length) {
      this.hush(this.margin);
      return samples;
    }
    const left = samples.subarray(Math.min(this.missed, samples.length));
    this.missed -= samples.length - left.length;
    return left;
  }
  push(samples) {
    this.queue.push(samples);
    this.waiting += samples.length;
  }
  hush(length) {
    this.push(new Float32Array(length));
  }
  begin() { // so late that each block so far would have come in time, with a margin
    const excess = this.captured - this.oldest - this.margin;
    if (excess > 0) this.take(new Float32Array(excess));
    else {
      this.queue.unshift(new Float32Array(-excess));
      this.waiting -= excess;
    }
    this.playing = true;
    this.quanta = 0;
  }
  take(target) { // fills target as far as there is something; returns how far
    let done = 0;
    while (done < target.length && this.queue.length) {
      const part = this.queue[0].subarray(this.offset, this.offset + target.length - done);
      target.set(part, done);
      done += part.length;
      this.offset += part.length;
      if (this.offset === this.queue[0].length) { this.queue.shift(); this.offset = 0; }
    }
    this.waiting -= done;
    return done;
  }
  ranDry(missed) {
    this.dry = true;
    this.missed = missed;
    this.firstLate = null; // in quanta
    this.again = this.quanta - this.lastGap < this.soon;
    this.lastGap = this.quanta;
    this.gaps++;
  }
  catchUp(out) { // leaves out what waits too long, with a crossfade
    const excess = this.least - this.margin - out.length;
    this.least = Infinity;
    if (excess < out.length || excess > this.waiting - out.length) return;
    this.take(new Float32Array(excess - out.length));
    const later = new Float32Array(out.length);
    this.take(later);
    for (let index = 0; index < out.length; index++) out[index] += ((later[index] - out[index]) * index) / out.length;
  }
  process([input], [output]) {
    const out = output[0];
    const sound = input[0] ?? new Float32Array(out.length);
    for (let index = 0; index < sound.length; index++) {
      this.block[this.filled++] = sound[index];
      if (this.filled === this.block.length) {
        const block = this.block.slice();
        this.to.postMessage({ block }, [block.buffer]);
        this.filled = 0;
      }
    }
    this.captured += sound.length;
    this.quanta++;
    if (this.playing && this.dry) this.missed += out.length;
    else if (this.playing) {
      const done = this.take(out);
      if (done < out.length) this.ranDry(out.length - done);
      this.least = Math.min(this.least, this.waiting);
      if (this.quanta % 375 === 0) this.catchUp(out);
      for (let channel = 1; channel < output.length; channel++) output[channel].set(out);
    }
    if (this.playing && this.quanta % 64 === 0)
      this.port.postMessage({ late: this.captured - this.came + this.waiting, gaps: this.gaps });
    return true;
  }
}
registerProcessor("duplex", Duplex);`;

class Refused extends Error {}

// At the rate of the network where the browser converts to it (Firefox does not), since its resampler would add delay.
function connect(stream) {
  const hint = { latencyHint: "interactive" };
  const at = (options) => {
    const context = new AudioContext(options);
    try {
      return [context, context.createMediaStreamSource(stream)];
    } catch (error) {
      context.close();
      throw error;
    }
  };
  try {
    return at({ ...hint, sampleRate: 48000 });
  } catch {
    return at(hint);
  }
}

async function askForMicrophone() {
  if (!navigator.mediaDevices?.getUserMedia)
    throw new Refused("The browser gives the microphone only to pages from https or from localhost: open the demo there, or start it with --share.");
  const wanted = { echoCancellation: false, noiseSuppression: false, autoGainControl: false, channelCount: 1 };
  try {
    return await navigator.mediaDevices.getUserMedia({ audio: wanted });
  } catch (error) {
    throw new Refused(
      error.name === "NotFoundError"
        ? "No microphone was found: plug one in and try again."
        : `The microphone was refused (${error.name}): allow it in the address bar of the browser, and in the settings of the system.`,
    );
  }
}

// given: a stream that is open already; then what is played goes into the stream `cleaned` and not to the loudspeaker.
// onEnded: called when the microphone vanishes. What was opened is closed when anything fails.
async function openMicrophone({ seconds, margin = 0.04, settling = 0.5, onBlock, onState, onEnded, given = null }) {
  const stream = given ?? (await askForMicrophone());
  const own = given ? [] : stream.getTracks();
  const release = () => own.forEach((track) => track.stop());
  let context = null;
  try {
    const [opened, source] = connect(stream);
    context = opened;
    await context.resume();
    const script = URL.createObjectURL(new Blob([WORKLET], { type: "text/javascript" }));
    await context.audioWorklet.addModule(script).finally(() => URL.revokeObjectURL(script));
    const rate = context.sampleRate;
    const block = Math.round(seconds * 100) * Math.round(rate / 100);
    const node = new AudioWorkletNode(context, "duplex", {
      channelCount: 1, // of the input: the mean of the sides of a stereo one
      channelCountMode: "explicit",
      outputChannelCount: [2],
      processorOptions: { block, margin: Math.round(margin * rate), settling: Math.round(settling * rate) },
    });
    node.port.onmessage = ({ data }) => (data.block ? onBlock?.(data.block) : onState?.(data));
    own.forEach((track) => track.addEventListener("ended", () => onEnded?.()));
    const target = given ? context.createMediaStreamDestination() : context.destination;
    source.connect(node).connect(target);
    let closed = null;
    return {
      cleaned: target.stream,
      rate,
      block,
      deviceSeconds: (context.baseLatency ?? 0) + (context.outputLatency ?? 0),
      play: (samples) => node.port.postMessage(samples, [samples.buffer]),
      connect: (port) => node.port.postMessage({ port }, [port]),
      forget: (unsent) => node.port.postMessage({ unsent }), // samples that will not come back
      close() {
        node.port.onmessage = null;
        release();
        closed ??= context.close();
        return closed;
      },
    };
  } catch (error) {
    release();
    context?.close();
    throw error;
  }
}

const GONE = "The microphone is gone: plug it in again, or choose another one in the settings.";
const smooth = (old, value) => (old ? 0.9 * old + 0.1 * value : value);
const toIntegers = (samples) => Int16Array.from(samples, (sample) => Math.max(-32768, Math.min(32767, Math.round(sample * 32768))));
const peakOf = (samples) => samples.reduce((peak, sample) => Math.max(peak, Math.abs(sample)), 0);
const SILENT = "The microphone gives only silence: is it muted, or is another one chosen in the settings?";
