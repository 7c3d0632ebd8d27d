/* Grades in words (ACR, DCR, CCR, P.835): a list of words for each scale. A scale is open when the sound was heard once for
each scale up to it, as P.835 wants it. */

import { slotButton } from "./sound_button.js";
import { text } from "./texts.js";

export class Scales {
  /** A sound counts as heard at its end, and the sounds once for each scale. */
  whole = true;

  constructor(root, state, changed) {
    this.sounds = root.querySelector(".sounds");
    this.changed = changed;
    this.scores = { ...(state.page.draft.scores || {}) };
    this.scales = state.page.scales;
    this.hearings = this.scales.length;
    const place = root.querySelector(".scales");
    this.groups = this.scales.map((scale) => this.group(scale));
    place.append(...this.groups);
  }

  group(scale) {
    const group = document.createElement("fieldset");
    group.append(Object.assign(document.createElement("legend"), { textContent: scale.question }));
    const choices = Object.assign(document.createElement("div"), { className: "choices grades" });
    for (const { value, text: word } of scale.grades) {
      const place = document.createElement("label");
      const input = Object.assign(document.createElement("input"), { type: "radio", name: scale.name, value });
      input.checked = this.scores[scale.name] === value;
      input.addEventListener("change", () => this.grade(scale, value));
      place.append(input, Object.assign(document.createElement("span"), { textContent: word }));
      choices.append(place);
    }
    group.append(choices);
    return group;
  }

  grade(scale, value) {
    this.scores[scale.name] = value;
    this.changed();
  }

  button(slot) {
    return this.sounds.appendChild(slotButton(slot));
  }

  /** How often a sound was heard at least, as what was answered before says. */
  heardBefore() {
    return Object.keys(this.scores).length;
  }

  content() {
    return { scores: this.scores };
  }

  missing() {
    const open = this.scales.filter((scale) => !(scale.name in this.scores));
    return open.length ? text("answers.missing_scales") : "";
  }

  /** times: how often all sounds of the page were heard. */
  refresh(selected, times) {
    this.groups.forEach((group, index) => {
      group.disabled = times <= index && !(this.scales[index].name in this.scores);
    });
  }

  /** Digits grade on the first open scale without an answer, or on the last one: 5 is the highest grade. */
  key(event) {
    const place = this.groups.findIndex((group, index) => !group.disabled && !(this.scales[index].name in this.scores));
    const index = place < 0 ? this.groups.length - 1 : place;
    const input = this.groups[index].querySelector(`input[value="${CSS.escape(event.key)}"]`);
    if (!/^[1-5]$/.test(event.key) || this.groups[index].disabled || this.scales[index].grades.length !== 5) return false;
    input.checked = true;
    this.grade(this.scales[index], Number(event.key));
    return true;
  }
}
