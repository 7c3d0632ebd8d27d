/* The line at the foot of the page, for the eye and for screen readers. */

const line = document.querySelector("#status");
const LOST = "The server does not answer. Nothing is lost: this is sent again until it does.";

/** Say something; wrong when it stands in the way. */
export function say(text, wrong = false) {
  line.textContent = text;
  line.classList.toggle("wrong", wrong);
}

/** Whether something that stands in the way was said last. */
export function isWrong() {
  return line.classList.contains("wrong") && line.textContent !== LOST;
}

/** Say that the server does not answer, or that it does again. */
export function waiting(lost) {
  if (lost) say(LOST, true);
  else if (line.textContent === LOST) say("");
}
