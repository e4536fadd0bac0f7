// The design of a letter: its settings and blocks, as JSON in the form's field. All changes are made here, so that
// each of them can be undone and is written into the field.
import { announceChange, body, form } from "./form.js";

// What the server knows about blocks: types with their defaults, fonts, networks, the brand.
export const kit = JSON.parse(form.dataset.blocks);

const MAX_PAST = 100; // states
const SAME_EDIT = 1000; // milliseconds; typing without a longer pause is undone at once

let design = null;
const past = [];
let future = [];
let lastEdit = "", lastEditAt = 0;
const listeners = [];

// Return whether a block can be drawn; the server finds all other errors.
function isUsable({ id, type, columns = [], links = [], delta = { ops: [] }, ...fields }) {
  const defaults = defaultsOf(type);
  const hasTexts = Object.entries(fields).every(([name, value]) => typeof value === typeof (defaults[name] ?? value));
  const hasOps = Array.isArray(delta.ops) && delta.ops.every(({ insert }) => insert);
  const hasColumns = columns.every(({ blocks = [] }) => blocks.every((block) => !block.columns && isUsable(block)));
  const hasLinks = links.every(({ url }) => typeof url === "string");
  return typeof id === "string" && typeof type === "string" && hasTexts && hasOps && hasColumns && hasLinks;
}

// Read the field. Return false if it contains no design that can be edited.
export function readDesign() {
  try {
    const found = JSON.parse(body.value);
    if (!found.blocks.every(isUsable)) return false;
    design = { ...found, settings: found.settings || {} };
    return true;
  } catch {
    return false;
  }
}

// Call `listener` after each change: with the ID of the changed block, "settings", or "all" if blocks were added,
// moved or removed.
export function onChange(listener) {
  listeners.push(listener);
}

function announce(what) {
  body.value = JSON.stringify(design);
  for (const listener of listeners) listener(what);
  announceChange();
}

// Remember the state before a change. Changes with the same name in quick succession are one step of undo.
function remember(edit) {
  const now = Date.now();
  const isSame = edit && edit === lastEdit && now - lastEditAt < SAME_EDIT;
  lastEdit = edit;
  lastEditAt = now;
  if (isSame) return;
  past.push(JSON.stringify(design));
  if (past.length > MAX_PAST) past.shift();
  future = [];
}

function restore(from, to) {
  if (!from.length) return false;
  to.push(JSON.stringify(design));
  design = JSON.parse(from.pop());
  lastEdit = "";
  announce("all");
  return true;
}

export function undo() {
  return restore(past, future);
}

export function redo() {
  return restore(future, past);
}

export function canUndo() {
  return { undo: past.length > 0, redo: future.length > 0 };
}

export function getBlocks() {
  return design.blocks;
}

// Return where a block is: the block, its list, its index in it, and the columns around it, if any.
export function locate(id) {
  for (const [index, block] of design.blocks.entries()) {
    if (block.id === id) return { block, list: design.blocks, key: "", index, parent: null };
    for (const [place, column] of (block.columns || []).entries()) {
      const list = listOf(column);
      const inside = list.findIndex((child) => child.id === id);
      if (inside >= 0) return { block: list[inside], list, key: `${block.id}/${place}`, index: inside, parent: block };
    }
  }
  return null;
}

function listOf(column) {
  column.blocks = column.blocks || [];
  return column.blocks;
}

// Return the list with a key: "" for the letter itself, "<id>/<number>" for a column.
export function getList(key) {
  if (!key) return design.blocks;
  const [id, place] = key.split("/");
  return listOf(locate(id).block.columns[Number(place)]);
}

export function countBlocks() {
  return design.blocks.reduce((sum, block) => (
    sum + 1 + (block.columns || []).reduce((inner, column) => inner + listOf(column).length, 0)
  ), 0);
}

function newId() {
  return `b${[...crypto.getRandomValues(new Uint8Array(6))].map((byte) => byte.toString(36)).join("")}`;
}

// Return a copy of a block with new IDs.
export function copyOf(block) {
  const copy = structuredClone(block);
  copy.id = newId();
  for (const column of copy.columns || []) {
    for (const child of listOf(column)) child.id = newId();
  }
  return copy;
}

export function insertBlock(block, key, index) {
  remember("");
  getList(key).splice(index, 0, block);
  announce("all");
}

export function removeBlock(id) {
  const { list, index } = locate(id);
  remember("");
  list.splice(index, 1);
  announce("all");
}

export function moveBlock(id, key, index) {
  const place = locate(id);
  const target = getList(key);
  if (place.list === target && place.index === index) return;
  remember("");
  place.list.splice(place.index, 1);
  target.splice(index, 0, place.block);
  announce("all");
}

export function defaultsOf(type) {
  return kit.types[type] || {};
}

export function styleOf({ block, parent }) {
  const inColumn = parent ? { padding_side: 0 } : {};
  return { ...kit.style, ...kit.styles[block.type], ...inColumn, ...block.style };
}

export function getSetting(name) {
  return design.settings[name] ?? kit.settings[name];
}

export function setSetting(name, value) {
  remember(`settings/${name}`);
  if (value === kit.settings[name]) delete design.settings[name];
  else design.settings[name] = value;
  announce("settings");
}

// Set a field of a block, such as ["style", "align"]. An undefined value removes it: the default counts.
export function setField(id, path, value) {
  const { block } = locate(id);
  remember(`${id}/${path.join("/")}`);
  let target = block;
  for (const name of path.slice(0, -1)) {
    target[name] = target[name] ?? {};
    target = target[name];
  }
  const last = path[path.length - 1];
  if (value === undefined) delete target[last];
  else target[last] = value;
  announce(id);
}

// Return the ID of the block at a JSON pointer, and the path of the field inside it.
export function findPointed(pointer) {
  const steps = pointer.split("/").slice(1).map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~"));
  let value = design, id = "", path = [];
  for (const [place, step] of steps.entries()) {
    value = value && value[step];
    if (value && typeof value === "object" && typeof value.type === "string" && value.id) {
      id = value.id;
      path = steps.slice(place + 1);
    }
  }
  return { id, path, isSetting: steps[0] === "settings" };
}
