/* The button of a sound: its label, and whether it was heard. */

import { label, text } from "./texts.js";

export function soundButton(shown, spoken) {
  const button = Object.assign(document.createElement("button"), { type: "button", className: "sound" });
  const name = Object.assign(document.createElement("span"), { className: "name", textContent: shown });
  const mark = Object.assign(document.createElement("span"), { className: "mark" });
  button.append(name, mark);
  button.dataset.label = shown;
  button.setAttribute("aria-label", spoken);
  return button;
}

/** The button of a slot in the words of the test: the reference, or a sound to be judged. */
export function slotButton(slot) {
  const sound = label(slot);
  const button = soundButton(sound, text(slot.role === "reference" ? "sounds.play_reference" : "sounds.play", { sound }));
  button.classList.add(slot.role);
  return button;
}
