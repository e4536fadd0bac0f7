// Everything that edits a letter made of blocks; block-start.js draws the letter, then loads this.
import { addBlock, aimAtColumn, drawBar, startActions } from "./block-actions.js";
import { connectCanvas, focusBlock, getSelected, isEditing, select } from "./block-canvas.js";
import { showChecks } from "./block-checks.js";
import { startConvert } from "./block-convert.js";
import { canUndo, locate, onChange, redo, undo } from "./block-design.js";
import { sortLists, startDrag } from "./block-drag.js";
import { addPictures, startFiles } from "./block-files.js";
import { focusPalette, saveBlock, startLibrary } from "./block-library.js";
import { closeSheet, drawPanel, focusPanel, isNarrow, place, showTab, startPanel } from "./block-panel.js";
import { checkBlocks, findProblem, findWay, setServerProblem, startProblems } from "./block-problems.js";
import { closeText, isOpen, openText, startText } from "./block-text.js";
import { form, setMode } from "./form.js";
import { refreshPreview, startPreview } from "./preview.js";
import { startToolbar } from "./toolbar.js";
import { startValues } from "./values.js";

const button = (act) => form.querySelector(`.tools [data-act="${act}"]`);

// Open a block for editing: text in place, other blocks in the panel.
function open(id, event) {
  const isText = locate(id).block.type === "text";
  const isKey = !event || !event.detail;
  if (!isText) closeText();
  select(id);
  if (isText) openText(id, event);
  else if (isKey) focusPanel();
  else focusBlock(id);
}

function leave() {
  const id = getSelected();
  closeText();
  if (id) focusBlock(id);
}

function showSelected(id) {
  if (id && !isOpen(id)) closeText();
  drawPanel();
  checkBlocks();
  showTab(id ? "block" : "add");
}

function choose(block, event) {
  closeText();
  const id = addBlock(block);
  if (id && (!event.detail || block.type === "text")) open(id, event.detail ? { detail: 0 } : event);
}

function openPalette() {
  showTab("add", isNarrow());
  focusPalette();
}

function step(act) {
  const before = document.activeElement;
  if (!act()) return;
  showUndo();
  if (!before.isConnected && getSelected()) focusBlock(getSelected());
}

function showUndo() {
  const can = canUndo();
  for (const [name, isPossible] of Object.entries(can)) {
    if (isPossible) button(name).removeAttribute("aria-disabled");
    else button(name).setAttribute("aria-disabled", "true");
  }
}

// One history for the whole letter; the browser has its own for the other fields.
function useKeys(event) {
  if (!event.target.closest(".be") || event.target.closest(".values-panel")) return;
  const isCommand = (event.ctrlKey || event.metaKey) && !event.altKey;
  const key = event.key.toLowerCase();
  if (isCommand && (key === "z" || key === "y" || key === "я" || key === "н")) {
    event.preventDefault();
    event.stopPropagation();
    step(event.shiftKey || key === "y" || key === "н" ? redo : undo);
  } else if (event.key === "Escape" && event.target.closest(".bt")) {
    event.preventDefault();
    event.stopPropagation();
    leave();
  } else if (event.key === "Enter" && event.target.matches("input:not([type=checkbox], [type=radio], [type=file])")) {
    event.preventDefault(); // otherwise the form is saved
  }
}

function togglePreview() {
  const isShown = form.classList.toggle("shows-preview");
  button("preview").setAttribute("aria-pressed", String(isShown));
  if (!isShown) {
    form.scrollIntoView({ block: "nearest" });
    return;
  }
  refreshPreview();
  document.getElementById("preview").scrollIntoView({ block: "nearest" });
}

const canvasHandlers = {
  onOpen: open,
  onLeave: () => {
    closeText();
    select("");
  },
  onSelect: showSelected,
  onAdd: (key, id) => {
    closeText();
    select(id);
    aimAtColumn(key);
    openPalette();
  },
  onDraw: (card) => {
    sortLists(card);
    place();
  },
  drawBar,
};

// Start everything; return the canvas handlers.
export function startTools() {
  setMode("blocks");
  startValues();
  startToolbar();
  startLibrary({ onChoose: choose });
  startActions({ onSave: saveBlock, onPalette: openPalette });
  connectCanvas(canvasHandlers);
  startPanel({ findProblem, onEditText: open, onLeave: leave });
  startText({ onFiles: addPictures });
  startFiles();
  startDrag();
  startProblems({
    onProblem: () => {
      if (!isEditing(getSelected())) drawPanel();
    },
    onOpen: (_id, path) => {
      if (form.classList.contains("shows-preview")) togglePreview();
      focusPanel(path);
    },
  });
  startConvert();
  startPreview({
    findWay,
    onProblem: (problem, findings) => {
      setServerProblem(problem);
      if (!problem) showChecks(findings, findWay);
    },
  });
  onChange(showUndo);
  showUndo();
  button("undo").addEventListener("click", () => step(undo));
  button("redo").addEventListener("click", () => step(redo));
  button("preview").addEventListener("click", togglePreview);
  document.querySelector('[data-act="edit"]').addEventListener("click", () => {
    togglePreview();
    button("preview").focus();
  });
  button("add").addEventListener("click", openPalette);
  button("design").addEventListener("click", () => showTab("design", true));
  form.querySelector(".bs-close").addEventListener("click", closeSheet);
  form.addEventListener("keydown", useKeys, { capture: true });
  if (getSelected()) showSelected(getSelected());
  form.dataset.mode = "blocks";
  return canvasHandlers;
}

// Show the design as JSON, for example if a program has written one that the server refuses.
export function startSource() {
  form.querySelector(".composed details").open = true;
  form.dataset.mode = "json";
}
