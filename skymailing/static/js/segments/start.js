// Start the editor of conditions. Without scripts, the page shows them in words, and as JSON to edit.
// Imports are relative: the page loads this file from a versioned folder, and they stay inside it.
import { create, form, json, texts } from "./form.js";
import { makeGroup } from "./groups.js";
import { schedule, startPreview } from "./preview.js";
import { readTree } from "./tree.js";

const editor = document.getElementById("segment-editor");
const advanced = form.querySelector(".segment-json");
let root = null;

function explain(text) {
  root = null;
  advanced.open = true;
  editor.replaceChildren(create("p", { className: "quiet-note", textContent: text }));
}

// Show the conditions from the JSON field; a new segment begins with an empty condition.
function showTree() {
  let tree;
  try {
    tree = readTree(json.value);
  } catch {
    explain(texts.unreadable);
    return;
  }
  if (!tree) {
    explain(texts.tooComplex);
    return;
  }
  if (!tree.items.length) tree.items.push({});
  root = makeGroup(tree);
  editor.replaceChildren(root);
}

function read(withIncomplete) {
  const rows = [];
  return { node: root.readGroup(rows, withIncomplete), rows };
}

function writeJson() {
  const { node } = read(true);
  json.value = node ? JSON.stringify(node, null, 2) : "";
}

function readForPreview() {
  if (root) return read(false);
  try {
    return { node: JSON.parse(json.value), rows: [] };
  } catch {
    return { node: null, rows: [] };
  }
}

function markRow(row, problem) {
  for (const marked of editor.querySelectorAll(".is-wrong")) {
    marked.classList.remove("is-wrong");
    marked.querySelector(".field-errors").remove();
    for (const field of marked.querySelectorAll(".is-invalid")) field.classList.remove("is-invalid");
  }
  if (!row) return;
  row.classList.add("is-wrong");
  row.append(create("div", { className: "field-errors" }, create("p", { textContent: problem })));
  const fields = row.querySelectorAll(".condition-value :is(input, select)");
  for (const field of fields.length ? fields : row.querySelectorAll("select")) field.classList.add("is-invalid");
}

function onChange() {
  const error = document.getElementById("conditions-error");
  if (error) error.remove();
  markRow(null);
  writeJson();
  schedule();
}

showTree();
for (const name of ["input", "change"]) editor.addEventListener(name, () => root && onChange());
json.addEventListener("change", () => {
  showTree();
  schedule();
});
form.addEventListener("submit", () => root && writeJson(), true);
startPreview(readForPreview, markRow);

// If the server has rejected a condition, mark it until something changes.
const wrong = Number(form.dataset.wrong);
if (root && wrong) {
  const error = document.getElementById("conditions-error");
  markRow(read(true).rows[wrong - 1], error ? error.textContent.trim() : "");
  if (error) error.remove(); // the error is now next to its row
}
