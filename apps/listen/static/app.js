/* The way of a listener: entry, set-up, practice, pages, end. The server says what comes next; this shows it. */

import { call, Refused } from "./api.js";
import { showForm } from "./form.js";
import { Page } from "./page.js";
import { say, useLost, waiting } from "./status.js";
import { fillTexts, text, useTexts, words } from "./texts.js";

const main = document.querySelector("main");
let about = null;
let page = null;

/** Show a template; the heading gets the focus, so that a screen reader starts there. */
function show(name) {
  if (page) page.close();
  page = null;
  const content = document.querySelector(`#${name}`).content.cloneNode(true);
  fillTexts(content);
  main.replaceChildren(content);
  main.dataset.phase = name;
  say("");
  window.scrollTo(0, 0);
  const heading = main.querySelector("h1");
  heading.tabIndex = -1;
  heading.focus();
  return main;
}

function fill(selector, content) {
  for (const element of document.querySelectorAll(selector)) element.textContent = content;
}

function showEntry() {
  show("entry");
  fill(".title", about.title);
  const box = main.querySelector(".instructions");
  for (const paragraph of about.instructions.split(/\n\s*\n/).filter((part) => part.trim())) {
    box.append(Object.assign(document.createElement("p"), { textContent: paragraph.trim() }));
  }
  const [pages, training] = [about.pages, about.training].map((count) => text("numbers.pages", { count }));
  fill(".length", text(about.training ? "entry.length_practice" : "entry.length", { pages, training }));
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
    const name = encodeURIComponent(/^\.|\/|^$/.test(listener) ? " " : listener); // dots and slashes lead elsewhere
    const state = await call(`api/state/${name}${key ? `?key=${encodeURIComponent(key)}` : ""}`, undefined, waiting);
    sessionStorage.setItem("listener", listener);
    advance(state);
  } catch (problem) {
    if (!(problem instanceof Refused)) throw problem;
    const field = main.querySelector("#id");
    if (field) field.readOnly = false; // so that the key of another browser can be added
    say(problem.message, true);
  }
}

/** Show what the server says comes now. */
function advance(state) {
  fill("#listener", text("top.listener", state));
  document.querySelector("#leave").hidden = false;
  const bar = document.querySelector("#progress");
  const ended = state.phase === "after" || state.phase === "done";
  bar.hidden = !ended && state.phase !== "page";
  bar.max = state.pages;
  bar.value = ended ? state.pages : state.position - 1;
  if (state.phase === "done") {
    show("done");
    showCompletion(state.completion);
    fill(".total", text("numbers.stored", { count: state.pages }));
    return;
  }
  if (state.form) {
    showForm(show("form"), state, advance);
    return;
  }
  const graded = about.method === "mushra" ? "mushra" : state.page.scales.length ? "rating" : "pair";
  show(state.phase === "setup" ? "setup" : graded);
  const line = document.querySelector("#timeline").content.cloneNode(true);
  fillTexts(line);
  main.querySelector(".timeline-place").replaceWith(line);
  fill(".question", state.page.question || about.question);
  const practice = state.phase === "training";
  const pages = practice ? about.training : state.pages;
  fill(".where", text(practice ? "page.practice" : "page.where", { position: state.position, pages }));
  main.querySelector(".where")?.classList.toggle("practice", practice);
  const numbered = state.page.slots.filter((slot) => slot.role !== "reference").length;
  fill(".last", String(Math.min(9, numbered)));
  for (const hint of main.querySelectorAll(".has-reference")) hint.hidden = numbered === state.page.slots.length;
  for (const hint of main.querySelectorAll(".pairwise-only")) hint.hidden = about.method !== "pairwise";
  for (const hint of main.querySelectorAll(".five-grades")) hint.hidden = state.page.scales[0]?.grades.length !== 5;
  const scale = main.querySelector(".scale");
  if (scale) scale.append(...words("mushra.grades").map((word) => Object.assign(document.createElement("span"), { textContent: word })));
  page = new Page(main, about, state, advance);
  page.load();
}

/** What a crowd platform wants to know at the end. */
function showCompletion({ code, link }) {
  const line = main.querySelector(".code");
  line.hidden = !code;
  line.textContent = text("done.code", { code });
  const back = main.querySelector(".back");
  back.hidden = !link;
  if (link) back.querySelector("a").href = link;
}

document.querySelector("#leave").addEventListener("click", () => {
  if (page) page.keep();
  sessionStorage.removeItem("listener");
  window.location.reload();
});

about = await call("api/about", undefined, waiting);
document.title = about.title;
useTexts(about.texts);
useLost(text("server.lost"));
fill(".title", about.title);
const known = sessionStorage.getItem("listener");
if (known && (!givenId() || givenId() === known)) await enter(known);
else showEntry();
if (!main.dataset.phase) showEntry();
