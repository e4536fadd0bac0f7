// Change the values in the columns of the client list where they are shown.
import { openField, post, table } from "./list-fields.js";

function makeButton(cell) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "value-button";
  button.title = table.dataset.change;
  button.textContent = cell.textContent.trim();
  labelButton(cell, button);
  button.addEventListener("click", () => {
    openField(button, cell.dataset.label, cell.dataset.value, (value) => save(cell, button, value));
  });
  cell.replaceChildren(button);
}

function labelButton(cell, button) {
  button.setAttribute("aria-label", `${cell.dataset.label}: ${cell.dataset.value}. ${table.dataset.change}`);
}

// Store a value and show it; return why that is not possible, if so.
async function save(cell, button, value) {
  const { field, value: shown } = cell.dataset;
  const { text, problem } = await post(cell, "values", { field, shown, value });
  if (problem) return problem;
  cell.dataset.value = button.textContent = text;
  labelButton(cell, button);
}

table.querySelectorAll("td[data-field]").forEach(makeButton);
