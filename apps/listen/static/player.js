/* Plays one of several sounds of equal length in a loop, and switches between them to the sample.

Time is counted in whole frames of the audio clock. A switch fades the old sound out and then the new one in, 5 ms each
with a raised cosine, at the very place in the sound where the old one ended; they are never heard together (BS.1534-3,
section 5.3: a cross-fade of nearly equal sounds colours them). The ends of the loop are faded in the same way, in copies
of the part that is looped. */

const FADE_SECONDS = 0.005;
const AHEAD_SECONDS = 0.03; // a change is scheduled this long before it is heard, so that it comes in time

export class Player {
  /** context: an AudioContext at the rate of the sounds; frames: their length. */
  constructor(context, frames) {
    this.context = context;
    this.rate = context.sampleRate;
    this.fade = Math.round(FADE_SECONDS * this.rate);
    this.sounds = new Map(); // id: Float32Array of each channel
    this.selected = null;
    this.playing = false;
    this.start = 0; // of the loop, frames
    this.end = frames;
    this.place = 0; // in the loop while paused, frames
    this.origin = 0; // clock frame at which the loop (as playing now) began
    this.free = 0; // clock frame from which the next change may begin
    this.voice = null;
    this.parts = new Map(); // id: AudioBuffer of the looped part
  }

  add(id, channels) {
    this.sounds.set(id, channels);
  }

  /** Where in the sounds the ear is, frames. */
  get position() {
    if (!this.playing) return this.start + this.place;
    return this.start + this.placeAt(Math.floor(this.context.currentTime * this.rate));
  }

  /** Hear a sound: at the same place when another one is playing. */
  select(id) {
    if (id === this.selected) return;
    this.selected = id;
    if (this.playing) this.change();
  }

  play() {
    if (this.playing || this.selected === null) return;
    this.part(this.selected);
    const at = this.next();
    this.origin = at - this.place;
    this.playing = true;
    this.begin(at);
  }

  pause() {
    if (!this.playing) return;
    const at = this.finish();
    this.place = this.placeAt(at);
    this.playing = false;
  }

  /** Loop from one frame up to another; the place in the sound stays when it is inside. */
  loop(start, end) {
    if (start === this.start && end === this.end) return;
    const parts = new Map(this.playing ? [[this.selected, this.cut(this.sounds.get(this.selected), start, end)]] : []);
    const at = this.playing ? this.finish() : 0;
    const position = this.start + (this.playing ? this.placeAt(at) : this.place);
    this.start = start;
    this.end = end;
    this.parts = parts;
    this.place = position >= start && position < end ? position - start : 0;
    if (this.playing) {
      this.origin = at - this.place;
      this.begin(at);
    }
  }

  stop() {
    if (this.playing) this.pause();
  }

  change() {
    this.part(this.selected);
    this.begin(this.finish());
  }

  placeAt(frame) {
    const length = this.end - this.start;
    return (((frame - this.origin) % length) + length) % length;
  }

  next() {
    const soon = Math.ceil((this.context.currentTime + AHEAD_SECONDS) * this.rate);
    return Math.max(soon, this.free);
  }

  /** Fade the sound in from a clock frame on. */
  begin(at) {
    const gain = this.context.createGain();
    gain.gain.value = 0;
    gain.gain.setValueCurveAtTime(curve(this.fade, false), at / this.rate, this.fade / this.rate);
    gain.connect(this.context.destination);
    const source = this.context.createBufferSource();
    source.buffer = this.part(this.selected);
    source.loop = true;
    source.connect(gain);
    source.onended = () => gain.disconnect();
    source.start(at / this.rate, this.placeAt(at) / this.rate);
    this.voice = { source, gain };
    this.free = at + this.fade;
  }

  /** Fade out what is heard. Returns the clock frame at which it is silent. */
  finish() {
    const at = this.next();
    const { source, gain } = this.voice;
    gain.gain.setValueCurveAtTime(curve(this.fade, true), at / this.rate, this.fade / this.rate);
    source.stop((at + this.fade) / this.rate);
    this.free = at + this.fade;
    return this.free;
  }

  /** The looped part of a sound. It takes time to cut, so that is done before the frame of a change is chosen. */
  part(id) {
    if (!this.parts.has(id)) this.parts.set(id, this.cut(this.sounds.get(id), this.start, this.end));
    return this.parts.get(id);
  }

  cut(channels, start, end) {
    const length = end - start;
    const buffer = this.context.createBuffer(channels.length, length, this.rate);
    channels.forEach((samples, channel) => {
      const piece = samples.slice(start, end);
      const fade = Math.min(this.fade, Math.floor(length / 2));
      for (let frame = 0; frame < fade; frame++) {
        const factor = 0.5 - 0.5 * Math.cos((Math.PI * frame) / fade);
        piece[frame] *= factor;
        piece[length - 1 - frame] *= factor;
      }
      buffer.copyToChannel(piece, channel);
    });
    return buffer;
  }
}

/** A raised cosine from 0 to 1, or down. */
function curve(frames, down) {
  return Float32Array.from({ length: frames + 1 }, (_, frame) => {
    const up = 0.5 - 0.5 * Math.cos((Math.PI * frame) / frames);
    return down ? 1 - up : up;
  });
}
