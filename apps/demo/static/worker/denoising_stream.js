// One channel, hop by hop, at the rate of the model: what `enhance.Stream` does with a `live_block` of one hop.
const CORNER_HZ = 1;
const GLIDE_SECONDS = 0.02; // to another strength, so that it makes no click

// A constant offset is taken away, as by `enhance.dsp.dc_blocker`: the mean of all samples so far, then a pole at 1 Hz.
class DcBlocker {
  constructor(rate) {
    this.gain = 1 - Math.exp((-2 * Math.PI * CORNER_HZ) / rate);
    this.settled = Math.round(1 / this.gain);
    this.samples = this.offset = 0;
  }
  process(block) {
    return block.map((sample) => {
      const gain = this.samples < this.settled ? 1 / ++this.samples : this.gain;
      this.offset += gain * (sample - this.offset);
      return sample - this.offset;
    });
  }
}

// Share of the denoised sound in the result, as in `enhance.runtime.strength`.
const weightOf = ({ attenuation_limit: limit, mix }) => mix * (1 - (limit == null ? 0 : 10 ** (-limit / 20)));

export class DenoisingStream {
  // run: (audio, state) -> [estimate, next state], a promise; all are Float32Arrays.
  constructor(run, { sample_rate, latency, state_size }, strength) {
    this.run = run;
    this.state = new Float32Array(state_size);
    this.blocker = new DcBlocker(sample_rate);
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
