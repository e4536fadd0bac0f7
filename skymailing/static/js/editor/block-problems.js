// What is wrong with the letter, at the block where it is: the server's errors, and images without a description.
import { focusBlock, getSelected, select, showProblems } from "./block-canvas.js";
import { findPointed, getBlocks, locate, onChange } from "./block-design.js";
import { texts } from "./block-texts.js";
import { form } from "./form.js";
import { showNotice } from "./notice.js";

const BAD = "block-bad";

let serverProblem = null; // { id, path, text }
let notice = ""; // a problem that is shown under the toolbar
let isStrict = false; // whether the author has tried to save: then the selected block is checked as well
const visited = new Set(); // blocks that have been selected, or were saved before
let handlers = {};

function* walk() {
  for (const block of getBlocks()) {
    yield block;
    for (const column of block.columns || []) yield* column.blocks || [];
  }
}

function checkAlt(block) {
  const isPicture = block.type === "picture" || block.type === "product";
  if (!isPicture || !block.src || block.is_decorative || (block.alt || "").trim()) return null;
  return { path: ["alt"], text: block.type === "picture" ? texts.needAlt : texts.needAltProduct };
}

// A button that leads nowhere can be saved, but is shown once the author has left it.
function checkLink(block) {
  const text = { button: block.text, product: block.button }[block.type];
  return text && text.trim() && !block.url ? { path: ["url"], text: texts.needLink } : null;
}

// Return the problem of a block, or null: the path of the field, and a text.
export function findProblem(id) {
  if (serverProblem && serverProblem.id === id && locate(id || "")) return serverProblem;
  const place = id && locate(id);
  return place ? checkAlt(place.block) : null;
}

function show() {
  if (getSelected()) visited.add(getSelected());
  const found = new Map();
  for (const block of walk()) {
    const isLeft = block.id !== getSelected() && visited.has(block.id);
    const problem = checkAlt(block), odd = checkLink(block);
    if (odd && isLeft) found.set(block.id, { text: odd.text, look: "block-odd" });
    if (problem && (isStrict || block.id !== getSelected())) found.set(block.id, { text: problem.text, look: BAD });
  }
  if (serverProblem && serverProblem.id) found.set(serverProblem.id, { text: serverProblem.text, look: BAD });
  showProblems(found);
}

// Show a problem that no block has, such as the size of the design.
function showElsewhere(text) {
  if (text || notice) showNotice(text);
  notice = text;
}

// Show the server's problem with this version, or null.
export function setServerProblem(problem) {
  const before = JSON.stringify(serverProblem);
  serverProblem = problem && problem.pointer ? { ...findPointed(problem.pointer), text: problem.text } : null;
  showElsewhere(problem && !(serverProblem && serverProblem.id) ? problem.text : "");
  if (JSON.stringify(serverProblem) === before) return;
  show();
  handlers.onProblem();
}

export function openProblem(id, pointed = []) {
  select(id);
  focusBlock(id);
  const problem = findProblem(id);
  handlers.onOpen(id, (problem ? problem.path : pointed).join("/"));
}

// Return what leads to the block of a problem of the preview, or null.
export function findWay({ pointer }) {
  const { id, path } = pointer ? findPointed(pointer) : {};
  return id ? { label: texts.showBlock, act: () => openProblem(id, path) } : null;
}

export function startProblems(given) {
  handlers = given;
  if (form.dataset.kind === "message") for (const block of walk()) visited.add(block.id);
  onChange(show);
  // Before other scripts see that the form is submitted.
  form.addEventListener("submit", (event) => {
    if (event.submitter && event.submitter.formNoValidate) return;
    const bad = [...walk()].find(checkAlt);
    if (!bad) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    isStrict = true;
    show();
    openProblem(bad.id);
  }, { capture: true });
  show();
}

export { show as checkBlocks };
