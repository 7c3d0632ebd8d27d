// One channel, hop by hop, at the rate of the model: what `enhance.Stream` does with a `live_block` of one hop.
const CORNER_HZ = 0.5;
const LOW_VOICE_HZ = 130;
const LEAST = 1e-12;
const GLIDE_SECONDS = 0.02; // to another strength, so that it makes no click

// A constant offset is taken away as far as it is sure, hop by hop, as by `enhance.dsp.dc_blocker`, which says why.
class DcBlocker {
  constructor(rate, hop) {
    this.hop = hop;
    this.seconds = hop / rate;
    this.pole = Math.exp(-2 * Math.PI * CORNER_HZ * this.seconds);
    this.sum = this.squares = this.weight = 0; // of the hops so far, older ones less
    this.offset = null; // at the end of the last hop
  }
  process(block) {
    const cleaned = new Float32Array(block.length);
    for (let start = 0; start < block.length; start += this.hop) {
      const hop = block.subarray(start, start + this.hop);
      const after = this.next(hop);
      const before = this.offset ?? after;
      hop.forEach((sample, index) => (cleaned[start + index] = sample - before - ((after - before) * (index + 1)) / this.hop));
      this.offset = after;
    }
    return cleaned;
  }
  next(hop) {
    let [sum, squares] = [0, 0];
    for (const sample of hop) {
      sum += sample;
      squares += sample * sample;
    }
    this.sum = this.pole * this.sum + sum / this.hop;
    this.squares = this.pole * this.squares + squares / this.hop;
    this.weight = this.pole * this.weight + 1;
    const mean = this.sum / this.weight;
    const variance = this.squares / this.weight - mean ** 2;
    const unsure = (2 * variance) / (Math.PI * LOW_VOICE_HZ * this.seconds * this.weight) ** 2;
    return mean * Math.min(1, Math.max(0, 1 - unsure / Math.max(mean ** 2, LEAST ** 2)));
  }
}

// Share of the denoised sound in the result, as in `enhance.runtime.strength`.
const weightOf = ({ attenuation_limit: limit, mix }) => mix * (1 - (limit == null ? 0 : 10 ** (-limit / 20)));

export class DenoisingStream {
  // run: (audio, state) -> [estimate, next state], a promise; all are Float32Arrays.
  constructor(run, { sample_rate, hop, latency, state_size }, strength) {
    this.run = run;
    this.state = new Float32Array(state_size);
    this.blocker = new DcBlocker(sample_rate, hop);
    this.latency = latency;
    this.late = latency; // of the model's samples so far, those that belong to no input
    this.dry = new Float32Array(latency); // the input that waits for its denoised samples
    this.weight = this.target = weightOf(strength);
    this.pace = 0; // of the weight, a sample
    this.glide = GLIDE_SECONDS * sample_rate;
  }
  adjust(strength) {
    this.target = weightOf(strength);
    this.pace = (this.target - this.weight) / this.glide;
  }
  // Whole hops; as many samples come back, `latency` later.
  async process(block) {
    const [wet, state] = await this.run(this.blocker.process(block), this.state);
    this.state = state;
    wet.fill(0, 0, this.late);
    this.late = Math.max(0, this.late - block.length);
    const dry = new Float32Array(this.latency + block.length);
    dry.set(this.dry);
    dry.set(block, this.latency);
    this.dry = dry.slice(block.length);
    for (let index = 0; index < wet.length; index++) wet[index] = this.mixed(dry[index], wet[index]);
    return wet;
  }
  mixed(dry, wet) {
    if (this.weight !== this.target) {
      const there = Math.abs(this.target - this.weight) <= Math.abs(this.pace);
      this.weight = there ? this.target : this.weight + this.pace;
    }
    if (this.weight === 1) return wet;
    return this.weight === 0 ? dry : dry + this.weight * (wet - dry);
  }
}
