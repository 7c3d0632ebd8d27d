/* The line under the sounds: where the ear is, and the two handles of the loop. A waveform is drawn of the reference only,
which says nothing of the sounds that are compared. */

import { text } from "./texts.js";

const SHORTEST_SECONDS = 0.5; // loop (BS.1534-3, section 5.3)
const STEPS = 1000; // of the handles

export class Timeline {
  /** root: the element with canvas and handles; frames, rate: of the sounds; shape: samples to draw, or null. */
  constructor(root, player, frames, rate, shape) {
    this.player = player;
    this.frames = frames;
    this.rate = rate;
    this.canvas = root.querySelector("canvas");
    this.clock = root.querySelector(".clock");
    this.from = root.querySelector(".from");
    this.to = root.querySelector(".to");
    this.peaks = shape ? peaks(shape, 240) : null;
    this.shortest = Math.min(STEPS, Math.ceil((STEPS * SHORTEST_SECONDS * rate) / frames));
    for (const handle of [this.from, this.to]) {
      handle.addEventListener("input", () => this.keepApart(handle));
      handle.addEventListener("change", () => this.apply());
    }
    this.keepApart(this.to);
    this.frame = requestAnimationFrame(() => this.draw());
  }

  close() {
    cancelAnimationFrame(this.frame);
  }

  /** Set a handle to where the ear is. */
  mark(handle) {
    handle.value = Math.round((STEPS * this.player.position) / this.frames);
    this.keepApart(handle);
    this.apply();
  }

  /** Loop the whole sound again. */
  reset() {
    this.from.value = 0;
    this.to.value = STEPS;
    this.keepApart(this.to);
    this.apply();
  }

  keepApart(moved) {
    const from = Number(this.from.value);
    const to = Number(this.to.value);
    if (moved === this.from) this.from.value = Math.min(from, to - this.shortest);
    else this.to.value = Math.max(to, from + this.shortest);
    for (const handle of [this.from, this.to]) {
      handle.setAttribute("aria-valuetext", text("timeline.seconds", { seconds: this.seconds(handle).toFixed(2) }));
    }
  }

  apply() {
    const place = (handle) => Math.round((this.frames * Number(handle.value)) / STEPS);
    this.player.loop(place(this.from), place(this.to));
  }

  seconds(handle) {
    return (Number(handle.value) / STEPS) * (this.frames / this.rate);
  }

  draw() {
    const { canvas } = this;
    const style = getComputedStyle(canvas);
    const scale = window.devicePixelRatio || 1;
    const width = Math.round(canvas.clientWidth * scale);
    const height = Math.round(canvas.clientHeight * scale);
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    const pen = canvas.getContext("2d");
    pen.clearRect(0, 0, width, height);
    const [from, to] = [this.from, this.to].map((handle) => (Number(handle.value) / STEPS) * width);
    pen.fillStyle = style.getPropertyValue("--soft");
    pen.fillRect(from, 0, to - from, height);
    if (this.peaks) this.drawShape(pen, style, width, height, from, to);
    const ear = (this.player.position / this.frames) * width;
    pen.fillStyle = style.getPropertyValue("--ink");
    pen.fillRect(Math.round(ear - scale), 0, 2 * scale, height);
    const [now, all] = [this.player.position, this.frames].map((frames) => (frames / this.rate).toFixed(1));
    this.clock.textContent = text("timeline.clock", { now, all });
    this.frame = requestAnimationFrame(() => this.draw());
  }

  drawShape(pen, style, width, height, from, to) {
    const step = width / this.peaks.length;
    this.peaks.forEach((peak, index) => {
      const left = index * step;
      pen.fillStyle = style.getPropertyValue(left >= from && left < to ? "--accent" : "--line");
      const size = Math.max(1, peak * (height - 8));
      pen.fillRect(left, (height - size) / 2, Math.max(1, step - 1), size);
    });
  }
}

/** Highest samples of so many parts, the highest of all 1. */
function peaks(samples, parts) {
  const size = Math.max(1, Math.floor(samples.length / parts));
  const found = [];
  for (let start = 0; start + size <= samples.length && found.length < parts; start += size) {
    let peak = 0;
    for (let index = start; index < start + size; index++) peak = Math.max(peak, Math.abs(samples[index]));
    found.push(peak);
  }
  const highest = Math.max(...found) || 1;
  return found.map((peak) => peak / highest);
}
