/* What is answered on a page: one of several choices (set-up, pairwise, ABX), a grade for each sound (MUSHRA), or grades on
scales with words (scales.js). */

import { Scales } from "./scales.js";
import { soundButton } from "./sound_button.js";

const WORDS = ["Bad", "Poor", "Fair", "Good", "Excellent"];
const BEST = 100;

/** The answer of a page. changed() is called when the listener changes it. */
export function makeAnswer(root, about, state, changed) {
  const kind = state.phase === "setup" ? Setup : ({ pairwise: Pairwise, abx: Abx, mushra: Grades }[about.method] ?? Scales);
  return new kind(root, state, changed);
}

class Choice {
  constructor(root, state, changed) {
    this.root = root;
    this.changed = changed;
    this.sounds = root.querySelector(".sounds");
    this.group = root.querySelector(".choices");
    for (const [value, text] of this.options(state)) this.group.append(this.option(value, text));
    const draft = this.group.querySelector(`input[value="${CSS.escape(state.page.draft.choice || "")}"]`);
    if (draft) draft.checked = true;
  }

  option(value, text) {
    const label = document.createElement("label");
    const input = Object.assign(document.createElement("input"), { type: "radio", name: "choice", value });
    input.addEventListener("change", this.changed);
    label.append(input, Object.assign(document.createElement("span"), { textContent: text }));
    return label;
  }

  button(slot) {
    const button = soundButton(slot.label, `Play ${slot.role === "reference" ? "the reference" : slot.label}`);
    button.classList.add(slot.role);
    this.sounds.append(button);
    return button;
  }

  get value() {
    return this.group.querySelector("input:checked")?.value;
  }

  content() {
    return { choice: this.value };
  }

  missing() {
    return this.value ? "" : this.wanted;
  }

  refresh() {}

  /** The keys of a choice: its place among the others. */
  keys = [];

  key(event) {
    const input = this.group.querySelectorAll("input")[this.keys.indexOf(event.key.toLowerCase())];
    if (!input) return false;
    input.checked = true;
    this.changed();
    return true;
  }
}

class Setup extends Choice {
  wanted = "Say what you listen with.";

  options() {
    return [
      ["headphones", "Headphones"],
      ["loudspeakers", "Loudspeakers"],
    ];
  }

  content() {
    return { playback: this.value };
  }
}

class Pairwise extends Choice {
  wanted = "Choose A, no preference, or B.";
  keys = ["a", "n", "b"];

  options(state) {
    const [a, b] = state.page.slots.filter((slot) => slot.role === "choice");
    return [
      [a.id, "A"],
      ["none", "No preference"],
      [b.id, "B"],
    ];
  }
}

class Abx extends Choice {
  wanted = "Say whether X is A or B.";
  keys = ["a", "b"];

  options(state) {
    const [a, b] = state.page.slots.filter((slot) => slot.role === "choice");
    return [
      [a.id, "X is A"],
      [b.id, "X is B"],
    ];
  }
}

class Grades {
  constructor(root, state, changed) {
    this.root = root;
    this.state = state;
    this.changed = changed;
    this.grades = { ...(state.page.draft.ratings || {}) };
    this.sliders = new Map();
  }

  button(slot) {
    if (slot.role === "reference") {
      const button = soundButton("Reference", "Play the reference");
      button.classList.add("reference");
      this.root.querySelector(".open").append(button);
      return button;
    }
    const column = document.querySelector("#stimulus").content.cloneNode(true).firstElementChild;
    const button = soundButton(slot.label, `Play sound ${slot.label}`);
    column.prepend(button);
    const slider = column.querySelector("input");
    slider.setAttribute("aria-label", `Grade of sound ${slot.label}`);
    slider.addEventListener("input", () => this.grade(slot.id, Number(slider.value)));
    this.sliders.set(slot.id, { slider, shown: column.querySelector(".grade"), column, label: slot.label });
    this.root.querySelector(".sounds").append(column);
    return button;
  }

  grade(id, value) {
    this.grades[id] = value;
    this.changed();
  }

  content() {
    return { ratings: this.grades };
  }

  missing() {
    const ungraded = [...this.sliders].filter(([id]) => !(id in this.grades)).map(([, { label }]) => label);
    if (ungraded.length) return `Grade every sound. Not graded yet: ${ungraded.join(", ")}.`;
    const best = Object.values(this.grades).includes(BEST);
    return best ? "" : "Give 100 to at least one sound: the reference is among them, under a number.";
  }

  /** Only the sound that is heard can be graded (BS.1534-3, section 5.4 and attachment 2). */
  refresh(selected) {
    for (const [id, { slider, shown, column }] of this.sliders) {
      const graded = id in this.grades;
      slider.disabled = id !== selected;
      if (graded) slider.value = this.grades[id];
      const word = WORDS[Math.min(4, Math.floor(slider.value / 20))];
      slider.setAttribute("aria-valuetext", graded ? `${slider.value}, ${word}` : "not graded");
      shown.textContent = graded ? slider.value : "–";
      column.classList.toggle("ungraded", !graded);
      column.classList.toggle("selected", id === selected);
    }
  }

  key(event, selected) {
    const step = { ArrowUp: 1, ArrowDown: -1, PageUp: 10, PageDown: -10, Home: -BEST, End: BEST }[event.key];
    if (!step || !this.sliders.has(selected)) return false;
    const before = this.grades[selected] ?? 0;
    this.grade(selected, Math.max(0, Math.min(BEST, before + step)));
    return true;
  }
}
