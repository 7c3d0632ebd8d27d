/* A page with sounds: the set-up, a pair, ABX, or MUSHRA. Buttons and keys choose a sound, the answer is kept as a draft at
each change, and nothing goes on before every sound was heard. */

import { makeAnswer } from "./answer.js";
import { call, Refused, send, sound } from "./api.js";
import { Player } from "./player.js";
import { isWrong, say, waiting } from "./status.js";
import { label, text } from "./texts.js";
import { Timeline } from "./timeline.js";

const HEARD_MILLISECONDS = 500; // of playing count as having heard a sound

export class Page {
  /** root: the element that shows the page; advance(state): goes on to what the server says comes next. */
  constructor(root, about, state, advance) {
    this.root = root;
    this.advance = advance;
    this.state = state;
    this.slots = state.page.slots;
    this.played = new Set((state.page.draft.played || []).filter((id) => this.slots.some((slot) => slot.id === id)));
    this.began = performance.now();
    this.spent = new Map(); // id: milliseconds of the sound that were played since it was heard last
    this.toggle = root.querySelector(".toggle");
    this.next = root.querySelector(".next");
    this.answer = makeAnswer(root, about, state, () => this.changed());
    this.buttons = new Map(this.slots.map((slot) => [slot.id, this.answer.button(slot)]));
    for (const [id, button] of this.buttons) button.addEventListener("click", () => this.hear(id));
    const before = Math.max(1, this.answer.heardBefore?.() ?? 1);
    this.times = new Map([...this.played].map((id) => [id, before])); // id: how often it was heard
    this.toggle.addEventListener("click", () => this.turn());
    this.next.addEventListener("click", () => this.submit());
    this.onKey = (event) => this.key(event);
    this.onHide = () => this.keep();
    document.addEventListener("keydown", this.onKey);
    window.addEventListener("pagehide", this.onHide);
    this.refresh();
  }

  /** Fetch all sounds; they are played when all are there. */
  async load() {
    const { sample_rate: sampleRate, frames, channels } = this.state.page;
    this.context = new AudioContext({ sampleRate, latencyHint: "interactive" });
    this.player = new Player(this.context, frames);
    const listener = encodeURIComponent(this.state.listener);
    try {
      const all = this.slots.map((slot) => sound(`api/audio/${listener}/${slot.id}`, channels, waiting));
      (await Promise.all(all)).forEach((samples, index) => this.player.add(this.slots[index].id, samples));
    } catch (problem) {
      if (!(problem instanceof Refused)) throw problem;
      if (!this.closed) this.advance(await call(`api/state/${listener}`, undefined, waiting));
      return;
    }
    if (this.closed) return;
    const open = this.slots.find((slot) => slot.role === "reference");
    const shape = open ? this.player.sounds.get(open.id)[0] : null;
    this.timeline = new Timeline(this.root.querySelector(".timeline"), this.player, frames, sampleRate, shape);
    const [from, to, whole] = this.root.querySelectorAll(".loop button");
    from.addEventListener("click", () => this.timeline.mark(this.timeline.from));
    to.addEventListener("click", () => this.timeline.mark(this.timeline.to));
    whole.addEventListener("click", () => this.timeline.reset());
    this.root.dataset.ready = "yes";
    this.refresh();
  }

  close() {
    this.closed = true;
    delete this.root.dataset.ready;
    document.removeEventListener("keydown", this.onKey);
    window.removeEventListener("pagehide", this.onHide);
    clearTimeout(this.hearing);
    clearTimeout(this.keeping);
    if (this.timeline) this.timeline.close();
    if (this.context) this.context.close();
  }

  /** Choose a sound and play it. */
  hear(id) {
    if (!this.root.dataset.ready) return;
    this.player.select(id);
    this.start();
    if (document.activeElement.matches(".sound")) this.buttons.get(id).focus();
    this.count();
    this.refresh();
  }

  turn() {
    if (!this.root.dataset.ready) return;
    if (this.player.playing) this.player.pause();
    else {
      if (!this.player.selected) this.player.select(this.slots[0].id);
      this.start();
    }
    this.count();
    this.refresh();
  }

  start() {
    this.context.resume(); // browsers let a page play only from a click or key on
    this.player.play();
  }

  /** After a while of playing, the sound counts as heard; one that is graded in words after all of it, in pieces or not. */
  count() {
    clearTimeout(this.hearing);
    const now = performance.now();
    if (this.hearingSince) {
      const { id, at } = this.hearingSince;
      this.spent.set(id, this.answer.whole ? (this.spent.get(id) ?? 0) + now - at : 0);
    }
    const id = this.player.selected;
    const heard = (this.times.get(id) ?? 0) >= (this.answer.hearings ?? 1);
    this.hearingSince = this.player.playing && !heard ? { id, at: now } : null;
    if (!this.hearingSince) return;
    const { sample_rate: sampleRate, frames } = this.state.page;
    const needed = this.answer.whole ? (1000 * frames) / sampleRate : HEARD_MILLISECONDS;
    this.hearing = setTimeout(() => {
      this.played.add(id);
      this.times.set(id, (this.times.get(id) ?? 0) + 1);
      this.hearingSince = null;
      this.spent.set(id, 0);
      this.changed();
      this.count();
    }, Math.max(0, needed - (this.spent.get(id) ?? 0)));
  }

  changed() {
    this.refresh();
    clearTimeout(this.keeping);
    this.keeping = setTimeout(() => this.keep(), 200);
  }

  /** Keep what is begun on the server. */
  keep() {
    clearTimeout(this.keeping);
    if (this.state.phase !== "page" || this.sent) return;
    send(`api/draft/${encodeURIComponent(this.state.listener)}`, this.content());
  }

  content() {
    const seconds = (performance.now() - this.began) / 1000;
    return { page: this.state.page.id, played: [...this.played], seconds, ...this.answer.content() };
  }

  missing() {
    const unheard = this.slots.filter((slot) => !this.played.has(slot.id)).map(label);
    if (unheard.length) return text("page.missing_sounds", { sounds: unheard.join(", ") });
    return this.answer.missing();
  }

  async submit() {
    const missing = this.missing();
    if (missing) {
      say(missing, true);
      return;
    }
    if (this.sent) return;
    this.sent = true;
    this.player.pause();
    this.refresh();
    const listener = encodeURIComponent(this.state.listener);
    const path = this.state.phase === "setup" ? "setup" : "answer";
    try {
      this.advance(await call(`api/${path}/${listener}`, this.content(), waiting));
    } catch (problem) {
      if (!(problem instanceof Refused)) throw problem;
      if (problem.gone) this.advance(await call(`api/state/${listener}`, undefined, waiting));
      else say(problem.message, true);
      this.sent = false;
    }
  }

  key(event) {
    const typing = event.target.matches("input[type=text]");
    if (typing || event.ctrlKey || event.metaKey || event.altKey || !this.root.dataset.ready) return;
    const inAnswer = event.target.matches("input[type=radio], .timeline input");
    const letter = /^[a-z]$/i.test(event.key);
    const loops = !this.answer.whole && this.state.phase !== "setup"; // where the page shows a loop
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const reference = this.slots.find((slot) => slot.role === "reference");
    const choices = this.slots.filter((slot) => slot !== reference);
    const digit = choices[Number(event.key) - 1];
    const ownSpace = event.target.matches("button:not([aria-pressed=true]), input[type=radio]");
    if (event.key === " " && !ownSpace) this.turn();
    else if ((event.key === "r" || event.key === "0") && reference) this.hear(reference.id);
    else if (this.answer.whole && this.answer.key(event)) return event.preventDefault();
    else if (event.key.length === 1 && event.key !== " " && digit) this.hear(digit.id);
    else if (loops && event.key === "[") this.timeline.mark(this.timeline.from);
    else if (loops && event.key === "]") this.timeline.mark(this.timeline.to);
    else if (step && !inAnswer) this.hear(this.neighbour(step).id);
    else if ((inAnswer && !letter) || !this.answer.key(event, this.player.selected)) return;
    event.preventDefault();
  }

  neighbour(step) {
    const index = this.slots.findIndex((slot) => slot.id === this.player.selected);
    if (index < 0) return this.slots[0];
    return this.slots[(index + step + this.slots.length) % this.slots.length];
  }

  refresh() {
    const ready = Boolean(this.root.dataset.ready);
    const playing = ready && this.player.playing;
    const selected = ready ? this.player.selected : null;
    this.toggle.textContent = text(!ready ? "page.loading" : playing ? "page.pause" : "page.play");
    this.toggle.disabled = !ready;
    this.toggle.classList.toggle("playing", playing);
    for (const slot of this.slots) {
      const button = this.buttons.get(slot.id);
      button.disabled = !ready;
      button.setAttribute("aria-pressed", String(slot.id === selected));
      button.classList.toggle("playing", playing && slot.id === selected);
      button.classList.toggle("heard", this.played.has(slot.id));
      button.querySelector(".mark").textContent = text(this.played.has(slot.id) ? "page.heard" : "page.unheard");
    }
    this.answer.refresh(selected, Math.min(...this.slots.map((slot) => this.times.get(slot.id) ?? 0)));
    const missing = this.missing();
    this.next.setAttribute("aria-disabled", String(Boolean(missing) || Boolean(this.sent)));
    if (!missing && !this.sent && isWrong()) say("");
  }
}
