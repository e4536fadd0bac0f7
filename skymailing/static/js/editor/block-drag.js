// Drag blocks with a mouse or a finger: within the letter, into columns, and from the palette.
import { addBlock } from "./block-actions.js";
import { canvas, draw } from "./block-canvas.js";
import { moveBlock } from "./block-design.js";
import { blockOf } from "./block-library.js";
import { form } from "./form.js";

const Sortable = window.Sortable;
const PRESS = 220; // milliseconds until a finger drags instead of scrolling
const COMMON = {
  animation: 150,
  forceFallback: true, // browsers drag no buttons themselves
  fallbackOnBody: true,
  fallbackTolerance: 5,
  delay: PRESS,
  delayOnTouchOnly: true,
  touchStartThreshold: 5,
  ghostClass: "block-ghost",
  dragClass: "block-dragged",
};

let sortables = [];

// Columns cannot be put into columns.
function accepts(to, _from, item) {
  return !("nested" in to.el.dataset) || item.dataset.type !== "columns";
}

function begin() {
  canvas.classList.add("bc-dragging");
}

function endMove({ item, to, newDraggableIndex }) {
  canvas.classList.remove("bc-dragging");
  moveBlock(item.dataset.id, to.dataset.list, newDraggableIndex);
  draw(); // also if nothing has moved, because the library has changed the page
}

function endAdd({ item, to, from, newDraggableIndex }) {
  canvas.classList.remove("bc-dragging");
  if (to === from) return;
  const block = blockOf(item);
  item.remove();
  addBlock(block, { key: to.dataset.list, index: newDraggableIndex });
}

// Make the lists of a newly drawn letter sortable.
export function sortLists(card) {
  for (const sortable of sortables) sortable.destroy();
  sortables = [...card.querySelectorAll(".block-list")].map((list) => new Sortable(list, {
    ...COMMON,
    group: { name: "blocks", put: accepts },
    draggable: ".block",
    filter: ".block-editing .bt, .block-bar button, .bp-below, .column-add",
    preventOnFilter: false,
    swapThreshold: 0.65,
    invertSwap: true,
    scroll: canvas,
    onStart: begin,
    onEnd: endMove,
  }));
}

export function startDrag() {
  for (const list of form.querySelectorAll(".bl-types, .bl-saved")) {
    new Sortable(list, {
      ...COMMON,
      group: { name: "blocks", pull: "clone", put: false },
      sort: false,
      draggable: "li",
      filter: ".bl-delete",
      preventOnFilter: false,
      scroll: canvas,
      onStart: begin,
      onEnd: endAdd,
    });
  }
}
