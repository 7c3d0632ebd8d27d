/* A page with questions before or after the test: consent, choices, texts, numbers. */

import { call, Refused } from "./api.js";
import { say, waiting } from "./status.js";
import { text } from "./texts.js";

/** Show the questions of a state; advance(state) goes on to what comes next. */
export function showForm(root, state, advance) {
  const { title, paragraphs, questions } = state.form;
  root.querySelector("h1").textContent = title || text(`form.${state.phase}`);
  const place = root.querySelector(".instructions");
  for (const paragraph of paragraphs) place.append(Object.assign(document.createElement("p"), { textContent: paragraph }));
  const form = root.querySelector("form");
  const fields = questions.map((question, index) => makeField(question, `question-${index}`));
  form.prepend(...fields.map((field) => field.element));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const answers = Object.fromEntries(questions.map((question, index) => [question.name, fields[index].value()]));
    const open = questions.filter((question) => question.required && ["", false, null].includes(answers[question.name]));
    if (open.length) return say(text("form.missing", { questions: open.map((question) => question.ask).join("; ") }), true);
    try {
      const content = { place: state.phase, answers };
      advance(await call(`api/form/${encodeURIComponent(state.listener)}`, content, waiting));
    } catch (problem) {
      if (!(problem instanceof Refused)) throw problem;
      say(problem.message, true);
    }
  });
}

function makeField(question, id) {
  const asked = question.required ? question.ask : `${question.ask} (${text("form.optional")})`;
  if (question.kind === "consent") return choiceField("checkbox", [asked], id, (checked) => checked.length > 0);
  if (question.kind === "choice") {
    const field = choiceField("radio", question.options, id, (checked) => checked[0] ?? null);
    field.element.prepend(Object.assign(document.createElement("legend"), { textContent: asked }));
    return field;
  }
  const element = Object.assign(document.createElement("p"), { className: "field" });
  const input = Object.assign(document.createElement("input"), { id, type: "text", maxLength: 2000 });
  if (question.kind === "number") input.inputMode = "decimal";
  element.append(Object.assign(document.createElement("label"), { htmlFor: id, textContent: asked }), input);
  return { element, value: () => input.value.trim() };
}

function choiceField(type, options, name, value) {
  const element = document.createElement("fieldset");
  const choices = Object.assign(document.createElement("div"), { className: "choices grades" });
  for (const option of options) {
    const label = document.createElement("label");
    label.append(Object.assign(document.createElement("input"), { type, name, value: option }));
    label.append(Object.assign(document.createElement("span"), { textContent: option }));
    choices.append(label);
  }
  element.append(choices);
  return { element, value: () => value([...choices.querySelectorAll("input:checked")].map((input) => input.value)) };
}
