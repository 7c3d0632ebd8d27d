// The controls of the page without a server; the live tab reads what they say from `props.value`.
const form = document.querySelector("#strength").elements;
form.model.append(...Object.keys(props.engine.models).map((name) => new Option(name)));
document.querySelector("#strength").addEventListener("input", () => {
  form.limit.disabled = !form.limited.checked;
  document.querySelector("#decibels").textContent = form.limit.value;
  props.value = { attenuation_limit: form.limited.checked ? Number(form.limit.value) : null, mix: Number(form.mix.value), model: form.model.value };
  watchers.forEach((watcher) => watcher());
});
