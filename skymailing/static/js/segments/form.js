// The form that the editor works on, its texts, and functions that create elements.
export const form = document.getElementById("segment-form");
export const json = form.elements.conditions;
export const vocabulary = JSON.parse(form.dataset.vocabulary);
export const texts = JSON.parse(form.dataset.texts);

export function create(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

export function createButton(text, label, onClick) {
  const button = create("button", { type: "button", className: "btn btn-outline", textContent: text });
  if (label) button.setAttribute("aria-label", label);
  button.addEventListener("click", onClick);
  return button;
}

// Make a select; a value without an option, such as that of a deleted tag, gets one.
export function createSelect(label, options, value) {
  const select = create("select", { className: "form-select" }, ...options.map(([key, name]) => new Option(name, key)));
  select.setAttribute("aria-label", label);
  const isKnown = options.some(([key]) => String(key) === String(value));
  if (value !== undefined && !isKnown) select.append(new Option(texts.unknown.replace("{name}", value), value));
  if (value !== undefined) select.value = value;
  return select;
}

// Report that a script has changed the conditions.
export function announceChange() {
  document.getElementById("segment-editor").dispatchEvent(new Event("input", { bubbles: true }));
}
