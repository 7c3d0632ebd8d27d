/* The button of a sound: its label, and whether it was heard. */

export function soundButton(label, text) {
  const button = Object.assign(document.createElement("button"), { type: "button", className: "sound" });
  const name = Object.assign(document.createElement("span"), { className: "name", textContent: label });
  const mark = Object.assign(document.createElement("span"), { className: "mark" });
  button.append(name, mark);
  button.dataset.label = label;
  button.setAttribute("aria-label", text);
  return button;
}
