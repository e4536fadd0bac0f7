// The canvas: the letter, block by block. A button over each block's content selects the block, so that links
// in the content do nothing and the keyboard reaches each block.
import { adaptPalette, choosePalette } from "./block-colors.js";
import { getBlocks, getList, locate, onChange, styleOf } from "./block-design.js";
import { sumUp } from "./block-types.js";
import { fill, texts } from "./block-texts.js";
import { drawContent, styleBox, styleLetter } from "./block-view.js";
import { h, icon } from "./dom.js";
import { form } from "./form.js";

export const canvas = form.querySelector(".bc");
const card = canvas.querySelector(".bc-letter");

const PARTS = ["block-cover", "block-box", "block-badges", "block-problem", "block-bar"];

let handlers = {};
let selected = ""; // the ID of the selected block
let problems = new Map(); // by block ID: the text, and the class of the block
let editing = null; // the text field that is open in a block: { id, node }

export function getSelected() {
  return selected && locate(selected) ? selected : "";
}

export function findNode(id) {
  return canvas.querySelector(`.block[data-id="${CSS.escape(id)}"]`);
}

function coverOf(id) {
  const node = findNode(id);
  return node && node.querySelector(":scope > .block-cover");
}

export function focusBlock(id) {
  const cover = coverOf(id);
  if (cover) cover.focus();
}

function label(block, index, count) {
  return fill(texts.blockLabel, { block: sumUp(block), number: index + 1, count });
}

function drawBadges({ on = "all", when = null } = {}) {
  const badges = [];
  if (on !== "all") badges.push([on === "phone" ? "phone" : "laptop", texts.fields[`visibility.on.${on}`]]);
  if (when) badges.push(["funnel", texts.conditional]);
  if (!badges.length) return null;
  return h("div", { class: "block-badges" }, badges.map(([symbol, title]) => (
    h("span", { title }, icon(symbol), h("span", { class: "visually-hidden", text: title }))
  )));
}

function drawColumns(block, place) {
  const shares = block.columns.map((column) => column.width || 100 / block.columns.length);
  const style = {
    gridTemplateColumns: shares.map((share) => `minmax(0, ${share}fr)`).join(" "),
    gap: `${block.gap ?? 16}px`,
    alignItems: block.vertical === "middle" ? "center" : "start",
  };
  return h("div", { class: "bc-columns", style }, block.columns.map((_column, number) => {
    const key = `${block.id}/${number}`;
    return h("div", { class: "bc-column" }, drawList(key, place, block), drawColumnAdd(block, key, number));
  }));
}

function drawColumnAdd(block, key, number) {
  if (getList(key).length) return null;
  const name = fill(texts.addToColumn, { number: number + 1 });
  return h("button", {
    class: "column-add", type: "button", on: { click: () => handlers.onAdd(key, block.id) },
  }, icon("plus-lg"), h("span", { text: name }));
}

function drawList(key, place, parent) {
  const list = getList(key);
  const label = parent ? null : texts.letter;
  return h("ol", { class: "block-list", "data-list": key, "data-nested": Boolean(parent), "aria-label": label },
    list.map((block, index) => drawBlock(block, place, parent, index, list.length)));
}

function drawBlock(block, place, parent, index, count) {
  const style = styleOf({ block, parent });
  const own = { style, palette: adaptPalette(place.palette, style) };
  const problem = problems.get(block.id);
  const problemId = `problem-${block.id}`;
  const isSelected = block.id === selected;
  const box = h("div", { class: "block-box" });
  styleBox(box, own);
  const isEditing = editing && editing.id === block.id;
  if (isEditing) box.append(editing.node);
  else box.append(block.columns ? drawColumns(block, own) : drawContent(block, own));
  return h("li", {
    class: ["block", isSelected && "block-selected", isEditing && "block-editing", problem && problem.look].filter(Boolean).join(" "),
    "data-id": block.id,
    "data-type": block.type,
  },
  h("button", {
    class: "block-cover",
    type: "button",
    "aria-label": label(block, index, count),
    "aria-current": isSelected ? "true" : null,
    "aria-describedby": problem ? problemId : null,
    "aria-keyshortcuts": "Alt+ArrowUp Alt+ArrowDown Delete",
  }),
  box,
  drawBadges(block.visibility),
  problem ? h("p", { class: "block-problem", id: problemId }, icon("exclamation-triangle"), h("span", { text: problem.text })) : null,
  isSelected ? handlers.drawBar(block, index, count) : null);
}

// Draw everything again; scroll position, focus and an open text field are kept.
export function draw() {
  const palette = choosePalette();
  const focused = document.activeElement;
  const held = canvas.contains(focused) ? focused : null;
  const id = held && held.closest(".block") ? held.closest(".block").dataset.id : "";
  const action = held && held.dataset.act;
  const isText = held && held.closest(".ql-editor");
  styleLetter(canvas, card, palette);
  card.replaceChildren(drawList("", { palette }, null));
  canvas.classList.toggle("bc-empty", !getBlocks().length);
  handlers.onDraw(card);
  if (isText && editing) editing.focus();
  else if (held && held.isConnected) held.focus();
  else if (id) (findNode(id)?.querySelector(`:scope > .block-bar [data-act="${action}"]`) || coverOf(id))?.focus();
}

// Redraw one block of which only its own fields have changed.
function drawOne(id) {
  const node = findNode(id);
  const place = locate(id);
  if (!node || place.block.columns) return draw();
  const isTyping = document.activeElement.closest(".ql-editor") && canvas.contains(document.activeElement);
  if (isEditing(id) && isTyping) return; // the field shows the text itself
  let palette = choosePalette();
  if (place.parent) palette = adaptPalette(palette, styleOf({ block: place.parent, parent: null }));
  replaceParts(node, drawBlock(place.block, { palette }, place.parent, place.index, place.list.length));
}

// Replace parts with newly drawn ones; the focused part stays, and so does the panel below it.
function replaceParts(node, drawn) {
  node.className = drawn.className;
  for (const part of PARTS) {
    const before = node.querySelector(`:scope > .${part}`);
    const after = drawn.querySelector(`:scope > .${part}`);
    if (before && before.contains(document.activeElement)) continue;
    if (before && after) before.replaceWith(after);
    else if (before) before.remove();
    else if (after) node.querySelector(":scope > .block-box").after(after);
  }
}

// Select a block, or none. Selecting does not move the focus.
export function select(id) {
  if (selected === id) return;
  selected = id;
  canvas.classList.toggle("bc-has-selected", Boolean(id));
  draw();
  handlers.onSelect(id);
}

// Show a text field in place of a block's content, or the content again.
export function setEditing(field) {
  editing = field;
  draw();
}

export function isEditing(id) {
  return Boolean(editing && editing.id === id);
}

export function showProblems(found) {
  const changed = new Set([...found.keys(), ...problems.keys()].filter((id) => {
    const [one, other] = [found.get(id), problems.get(id)];
    return !one || !other || one.text !== other.text;
  }));
  problems = found;
  for (const id of changed) if (findNode(id)) drawOne(id);
}

// Let the tools, which load after the first drawing, react to what happens on the canvas.
export function connectCanvas(given) {
  handlers = given;
  draw();
}

export function startCanvas(given) {
  handlers = given;
  onChange((what) => {
    if (selected && !locate(selected)) select("");
    if (what === "all" || what === "settings") draw();
    else drawOne(what);
  });
  form.elements.language.addEventListener("change", draw);
  canvas.addEventListener("click", (event) => {
    const cover = event.target.closest(".block-cover");
    if (cover) handlers.onOpen(cover.closest(".block").dataset.id, event);
    else if (event.target === canvas || event.target === card) handlers.onLeave();
  });
  canvas.addEventListener("focusin", ({ target }) => {
    // The keyboard selects by moving the focus; a click selects on release, or starts a drag.
    if (target.matches(".block-cover:focus-visible")) select(target.closest(".block").dataset.id);
  });
  draw();
}
