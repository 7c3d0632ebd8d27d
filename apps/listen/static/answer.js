/* What is answered on a page: one of several choices (set-up, pairwise, ABX), a grade for each sound (MUSHRA), or grades on
scales with words (scales.js). */

import { Scales } from "./scales.js";
import { slotButton, soundButton } from "./sound_button.js";
import { label, text, words } from "./texts.js";

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
    for (const [value, content] of this.options(state)) this.group.append(this.option(value, content));
    const draft = this.group.querySelector(`input[value="${CSS.escape(state.page.draft.choice || "")}"]`);
    if (draft) draft.checked = true;
  }

  option(value, content) {
    const place = document.createElement("label");
    const input = Object.assign(document.createElement("input"), { type: "radio", name: "choice", value });
    input.addEventListener("change", this.changed);
    place.append(input, Object.assign(document.createElement("span"), { textContent: content }));
    return place;
  }

  button(slot) {
    return this.sounds.appendChild(slotButton(slot));
  }

  get value() {
    return this.group.querySelector("input:checked")?.value;
  }

  content() {
    return { choice: this.value };
  }

  missing() {
    return this.value ? "" : text(this.wanted);
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
  wanted = "setup.missing";

  options() {
    return [
      ["headphones", text("setup.headphones")],
      ["loudspeakers", text("setup.loudspeakers")],
    ];
  }

  content() {
    return { playback: this.value };
  }
}

class Pairwise extends Choice {
  wanted = "answers.missing_pair";
  keys = ["a", "n", "b"];

  options(state) {
    const [a, b] = state.page.slots.filter((slot) => slot.role === "choice");
    return [
      [a.id, "A"],
      ["none", text("answers.none")],
      [b.id, "B"],
    ];
  }
}

class Abx extends Choice {
  wanted = "answers.missing_x";
  keys = ["a", "b"];

  options(state) {
    const [a, b] = state.page.slots.filter((slot) => slot.role === "choice");
    return [
      [a.id, text("answers.x_is", { sound: "A" })],
      [b.id, text("answers.x_is", { sound: "B" })],
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
      const button = soundButton(label(slot), text("sounds.play_reference"));
      button.classList.add("reference");
      this.root.querySelector(".open").append(button);
      return button;
    }
    const column = document.querySelector("#stimulus").content.cloneNode(true).firstElementChild;
    const button = soundButton(slot.label, text("sounds.play_number", { sound: slot.label }));
    column.prepend(button);
    const slider = column.querySelector("input");
    slider.setAttribute("aria-label", text("sounds.grade", { sound: slot.label }));
    slider.addEventListener("input", () => this.grade(slot.id, Number(slider.value)));
    this.sliders.set(slot.id, { slider, shown: column.querySelector(".grade"), column, number: slot.label });
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
    const ungraded = [...this.sliders].filter(([id]) => !(id in this.grades)).map(([, { number }]) => number);
    if (ungraded.length) return text("mushra.missing", { sounds: ungraded.join(", ") });
    const best = Object.values(this.grades).includes(BEST);
    return best ? "" : text("mushra.hundred");
  }

  /** Only the sound that is heard can be graded (BS.1534-3, section 5.4 and attachment 2). */
  refresh(selected) {
    for (const [id, { slider, shown, column }] of this.sliders) {
      const graded = id in this.grades;
      slider.disabled = id !== selected;
      if (graded) slider.value = this.grades[id];
      const word = words("mushra.grades")[4 - Math.min(4, Math.floor(slider.value / 20))];
      slider.setAttribute("aria-valuetext", graded ? `${slider.value}, ${word}` : text("mushra.ungraded"));
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
