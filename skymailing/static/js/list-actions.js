// In each row of the client list: a button that copies the address (see copy.js), and one that adds tags.
import { openField, post, table } from "./list-fields.js";

function cloneButton(name, address) {
  const button = document.getElementById(name).content.firstElementChild.cloneNode(true);
  button.setAttribute("aria-label", `${button.title}: ${address}`);
  return button;
}

function openTags(cell, button) {
  const input = openField(button, button.getAttribute("aria-label"), "", (tags) => addTags(cell, tags));
  input.setAttribute("list", "known-tags");
  input.placeholder = table.dataset.tags;
}

// Add tags to the client and show them; return why that is not possible, if so.
async function addTags(cell, tags) {
  const { text, problem } = await post(cell, "tags", { tags });
  if (problem) return problem;
  const labels = [...new DOMParser().parseFromString(text, "text/html").body.children]; // none if the client is gone
  const present = cell.querySelector(".tag-labels");
  if (present) present.replaceWith(...labels);
  else cell.querySelector("input, .row-tool").before(...labels);
}

for (const row of table.tBodies[0].rows) {
  const link = row.querySelector(".client-email a");
  link.after(cloneButton("copy-address", link.textContent));
  if (!("tags" in table.dataset)) continue;
  const cell = row.querySelector(".client-name");
  const button = cloneButton("add-tag", link.textContent);
  button.addEventListener("click", () => openTags(cell, button));
  cell.append(button);
}
