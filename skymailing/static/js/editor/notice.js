// The line under the toolbar.
import { form } from "./form.js";

const line = form.querySelector(".mode-notice");

// Show a text, with a button if the author can act on it. An empty text hides the line.
export function showNotice(text, label, act) {
  line.replaceChildren();
  line.hidden = !text;
  line.append(text);
  if (label) line.append(" ", createButton(label, act));
}

export function createButton(label, act) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "btn btn-outline btn-sm";
  button.textContent = label;
  button.addEventListener("click", act);
  return button;
}
