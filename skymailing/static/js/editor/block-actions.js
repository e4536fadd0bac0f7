// What an author does with whole blocks: by buttons, by keyboard, and from the palette.
import { canvas, findNode, focusBlock, getSelected, select } from "./block-canvas.js";
import { copyOf, countBlocks, getBlocks, getList, insertBlock, kit, locate, moveBlock, removeBlock } from "./block-design.js";
import { sumUp } from "./block-types.js";
import { fill, texts } from "./block-texts.js";
import { h, icon } from "./dom.js";
import { form } from "./form.js";
import { showNotice } from "./notice.js";

const live = form.querySelector(".bc-live");
const KEYS = { up: "Alt+↑", down: "Alt+↓", remove: "Delete" };
const LAST_TYPES = ["footer", "unsubscribe"];

let column = ""; // the key of the empty column into which the next block is inserted
let handlers = {};

export function announceAction(text) {
  live.textContent = "";
  requestAnimationFrame(() => {
    live.textContent = text;
  });
}

// Choose an empty column for the next block.
export function aimAtColumn(key) {
  column = key;
}

function findPlaceFor(block) {
  const aim = column;
  column = "";
  const id = getSelected();
  if (aim && locate(aim.split("/")[0]) && block.type !== "columns") return { key: aim, index: getList(aim).length };
  if (id) {
    const { key, index, parent } = locate(id);
    if (!parent || block.type !== "columns") return { key, index: index + 1 };
    return { key: "", index: locate(parent.id).index + 1 };
  }
  // Without a selection: at the end, but before a footer.
  const blocks = getBlocks();
  let index = blocks.length;
  while (index && LAST_TYPES.includes(blocks[index - 1].type) && !LAST_TYPES.includes(block.type)) index--;
  return { key: "", index };
}

// Insert a copy of a block after the selected one, or at a given place. Return its ID, or "" if there is no room.
export function addBlock(block, place = findPlaceFor(block)) {
  if (countBlocks() + 1 > kit.maxBlocks) {
    showNotice(fill(texts.full, { limit: kit.maxBlocks }));
    return "";
  }
  showNotice("");
  const copy = copyOf(block);
  insertBlock(copy, place.key, place.index);
  select(copy.id);
  findNode(copy.id).scrollIntoView({ block: "nearest" });
  announceAction(fill(texts.added, { block: sumUp(copy) }));
  return copy.id;
}

function announcePlace(id) {
  const { block, index, list } = locate(id);
  announceAction(fill(texts.moved, { block: sumUp(block), number: index + 1, count: list.length }));
}

// Move a block up (-1) or down (1); from the edge of a column it leaves the columns.
export function move(id, step) {
  const { key, index, list, parent } = locate(id);
  const to = index + step;
  if (to >= 0 && to < list.length) moveBlock(id, key, to);
  else if (parent) moveBlock(id, "", locate(parent.id).index + (step > 0 ? 1 : 0));
  else return;
  findNode(id).scrollIntoView({ block: "nearest" });
  announcePlace(id);
}

// Move a block to the column before or after its own.
function moveAcross(id, step) {
  const { key, parent } = locate(id);
  if (!parent) return;
  const place = Number(key.split("/")[1]) + step;
  if (!parent.columns[place]) return;
  const to = `${parent.id}/${place}`;
  moveBlock(id, to, getList(to).length);
  announcePlace(id);
}

function remove(id) {
  const { list, index, block, parent } = locate(id);
  const next = list[index + 1] || list[index - 1] || parent;
  removeBlock(id);
  select(next ? next.id : "");
  if (next) focusBlock(next.id);
  announceAction(fill(texts.removed, { block: sumUp(block) }));
}

function duplicate(id) {
  const { block, key, index } = locate(id);
  addBlock(block, { key, index: index + 1 });
}

const ACTIONS = {
  up: (id) => move(id, -1),
  down: (id) => move(id, 1),
  duplicate,
  remove,
  save: (id) => handlers.onSave(locate(id).block),
  below: () => handlers.onPalette(),
  outer: (id) => {
    select(locate(id).parent.id);
    focusBlock(getSelected());
  },
};

// Draw the buttons of the selected block.
export function drawBar(block, index, count) {
  const { parent } = locate(block.id);
  const button = (act, symbol, disabled = false) => h("button", {
    class: "tool",
    type: "button",
    "data-act": act,
    title: KEYS[act] ? `${texts.actions[act]} (${KEYS[act]})` : texts.actions[act],
    "aria-label": texts.actions[act],
    "aria-disabled": disabled ? "true" : null,
  }, icon(symbol));
  return h("div", { class: "block-bar", role: "toolbar", "aria-label": texts.blockActions },
    h("span", { class: "block-grip", title: texts.drag, "aria-hidden": "true" }, icon("grip-vertical")),
    parent ? button("outer", "arrow-left") : null,
    button("up", "arrow-up", !parent && index === 0),
    button("down", "arrow-down", !parent && index === count - 1),
    button("duplicate", "copy"),
    button("save", "bookmark-plus"),
    button("remove", "trash"),
    button("below", "plus-lg"));
}

function useKeys(event) {
  const cover = event.target.closest(".block-cover, .block-bar");
  if (!cover || event.ctrlKey || event.metaKey || event.shiftKey) return;
  const { id } = cover.closest(".block").dataset;
  const isCover = cover.matches(".block-cover");
  const { key, altKey } = event;
  if (isCover && key.length === 1) event.stopPropagation(); // no shortcuts of the site: the author may mean the text
  let act = null;
  if (altKey && key === "ArrowUp") act = () => move(id, -1);
  else if (altKey && key === "ArrowDown") act = () => move(id, 1);
  else if (altKey && key === "ArrowLeft") act = () => moveAcross(id, -1);
  else if (altKey && key === "ArrowRight") act = () => moveAcross(id, 1);
  else if (key === "Escape") act = () => focusBlock(id);
  else if (isCover && (key === "Delete" || key === "Backspace")) act = () => remove(id);
  else if (isCover && (key === "ArrowUp" || key === "ArrowDown") && !altKey) act = () => step(cover, key === "ArrowUp" ? -1 : 1);
  if (!act) return;
  event.preventDefault();
  event.stopPropagation();
  act();
}

function step(cover, by) {
  const covers = [...canvas.querySelectorAll(".block-cover")];
  const next = covers[covers.indexOf(cover) + by];
  if (next) next.focus();
}

export function startActions(given) {
  handlers = given;
  canvas.addEventListener("keydown", useKeys);
  canvas.addEventListener("click", (event) => {
    const button = event.target.closest(".block-bar [data-act]");
    if (!button || button.getAttribute("aria-disabled")) return;
    ACTIONS[button.dataset.act](button.closest(".block").dataset.id, event);
  });
}
