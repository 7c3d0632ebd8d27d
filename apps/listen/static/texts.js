/* What listeners read, in the language of the test (apps/listen/texts). */

let texts = {};

/** Take the texts that the server gives, and put those of the page's frame in their places. */
export function useTexts(given) {
  texts = given;
  document.documentElement.lang = texts.language;
  fillTexts(document);
}

/** A text by its name, such as "page.next", with {words} filled in; of a list the form for `count` things. */
export function text(name, values = {}) {
  let found = name.split(".").reduce((table, key) => table[key], texts);
  if (Array.isArray(found)) found = found[new Intl.PluralRules(texts.language).select(values.count) === "one" ? 0 : 1];
  return found.replace(/\{(\w+)\}/g, (whole, word) => values[word] ?? whole);
}

/** All texts of a list, such as the words of a scale. */
export function words(name) {
  return name.split(".").reduce((table, key) => table[key], texts);
}

/** The label of a sound: those that are words are translated. */
export function label(slot) {
  return { Reference: () => text("sounds.reference"), Sound: () => text("sounds.sound"), First: () => text("sounds.first"), Second: () => text("sounds.second") }[slot.label]?.() ?? slot.label;
}

/** Fill in the elements that name a text: data-text for what stands in them, data-aria for what a screen reader says. */
export function fillTexts(root) {
  for (const element of root.querySelectorAll("[data-text]")) element.textContent = text(element.dataset.text);
  for (const element of root.querySelectorAll("[data-aria]")) element.setAttribute("aria-label", text(element.dataset.aria));
}
