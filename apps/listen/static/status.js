/* The line at the foot of the page, for the eye and for screen readers. */

const line = document.querySelector("#status");
let lost = "The server does not answer. Nothing is lost: this is sent again until it does."; // until the texts are here

/** Say something; wrong when it stands in the way. */
export function say(text, wrong = false) {
  line.textContent = text;
  line.classList.toggle("wrong", wrong);
}

/** Whether something that stands in the way was said last. */
export function isWrong() {
  return line.classList.contains("wrong") && line.textContent !== lost;
}

/** Say that the server does not answer, or that it does again. */
export function waiting(gone) {
  if (gone) say(lost, true);
  else if (line.textContent === lost) say("");
}

/** Take the words for a server that does not answer from the texts of the test. */
export function useLost(words) {
  waiting(false);
  lost = words;
}
