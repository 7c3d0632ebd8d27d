/* The way of a listener: entry, set-up, practice, pages, end. The server says what comes next; this shows it. */

import { call, Refused } from "./api.js";
import { Page } from "./page.js";
import { say, waiting } from "./status.js";

const main = document.querySelector("main");
let about = null;
let page = null;

/** Show a template; the heading gets the focus, so that a screen reader starts there. */
function show(name) {
  if (page) page.close();
  page = null;
  const content = document.querySelector(`#${name}`).content.cloneNode(true);
  main.replaceChildren(content);
  main.dataset.phase = name;
  say("");
  window.scrollTo(0, 0);
  const heading = main.querySelector("h1, h2");
  heading.tabIndex = -1;
  heading.focus();
  return main;
}

function fill(selector, text) {
  for (const element of document.querySelectorAll(selector)) element.textContent = text;
}

function showEntry() {
  show("entry");
  fill(".title", about.title);
  const box = main.querySelector(".instructions");
  for (const paragraph of about.instructions.split(/\n\s*\n/).filter((text) => text.trim())) {
    box.append(Object.assign(document.createElement("p"), { textContent: paragraph.trim() }));
  }
  const practice = about.training ? `${count(about.training, "page")} of practice, then ` : "";
  fill(".length", `${practice}${count(about.pages, "page")}. You can stop at any time and go on later with the same id, in another browser with the key beside it.`);
  const form = main.querySelector("form");
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    enter(form.elements.listener.value.trim());
  });
  const given = givenId();
  form.elements.listener.value = given;
  form.elements.listener.readOnly = Boolean(given);
  form.elements.listener.focus();
}

/** The id in the address, as crowd platforms give it. */
function givenId() {
  return (new URLSearchParams(window.location.search).get(about.id_from) ?? "").trim();
}

async function enter(entered) {
  try {
    const [listener, key] = entered.split("#"); // the resume key, where it was begun in another browser
    const name = encodeURIComponent(listener.startsWith(".") ? " " : listener || " "); // a path of dots leads elsewhere
    const state = await call(`api/state/${name}${key ? `?key=${encodeURIComponent(key)}` : ""}`, undefined, waiting);
    sessionStorage.setItem("listener", listener);
    advance(state);
  } catch (problem) {
    if (!(problem instanceof Refused)) throw problem;
    say(problem.message, true);
  }
}

/** Show what the server says comes now. */
function advance(state) {
  fill("#listener", `Listener ${state.listener} · resume key ${state.key}`);
  document.querySelector("#leave").hidden = false;
  const bar = document.querySelector("#progress");
  const inTest = state.phase === "page" || state.phase === "done";
  bar.hidden = !inTest;
  bar.max = state.pages;
  bar.value = state.phase === "done" ? state.pages : state.position - 1;
  if (state.phase === "done") {
    show("done");
    showCompletion(state.completion);
    fill(".total", `All ${count(state.pages, "answer")} ${state.pages === 1 ? "is" : "are"} stored.`);
    return;
  }
  const graded = about.method === "mushra" ? "mushra" : state.page.scales.length ? "rating" : "pair";
  show(state.phase === "setup" ? "setup" : graded);
  const line = document.querySelector("#timeline").content.cloneNode(true);
  main.querySelector(".timeline-place").replaceWith(line);
  fill(".question", state.page.question || about.question);
  const practice = state.phase === "training";
  fill(".where", practice ? `Practice, page ${state.position} of ${about.training}: not kept` : `Page ${state.position} of ${state.pages}`);
  main.querySelector(".where")?.classList.toggle("practice", practice);
  const numbered = state.page.slots.filter((slot) => slot.role !== "reference").length;
  fill(".last", String(Math.min(9, numbered)));
  for (const hint of main.querySelectorAll(".has-reference")) hint.hidden = numbered === state.page.slots.length;
  for (const hint of main.querySelectorAll(".pairwise-only")) hint.hidden = about.method !== "pairwise";
  for (const hint of main.querySelectorAll(".five-grades")) hint.hidden = state.page.scales[0]?.grades.length !== 5;
  page = new Page(main, about, state, advance);
  page.load();
}

/** What a crowd platform wants to know at the end. */
function showCompletion({ code, link }) {
  const line = main.querySelector(".code");
  line.hidden = !code;
  line.textContent = about.texts.done.code.replace("{code}", code);
  const back = main.querySelector(".back");
  back.hidden = !link;
  if (link) back.querySelector("a").href = link;
  back.querySelector("a").textContent = about.texts.done.link;
}

function count(number, word) {
  return `${number} ${word}${number === 1 ? "" : "s"}`;
}

document.querySelector("#leave").addEventListener("click", () => {
  if (page) page.keep();
  sessionStorage.removeItem("listener");
  window.location.reload();
});

about = await call("api/about", undefined, waiting);
document.title = about.title;
fill(".title", about.title);
const known = sessionStorage.getItem("listener");
if (known && (!givenId() || givenId() === known)) await enter(known);
else showEntry();
if (!main.dataset.phase) showEntry();
