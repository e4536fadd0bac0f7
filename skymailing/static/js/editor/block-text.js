// Edit a text block in place: the text field of writing mode, opened on the selected block.
import { setEditing } from "./block-canvas.js";
import { locate, onChange, setField } from "./block-design.js";
import { texts } from "./block-texts.js";
import { h } from "./dom.js";
import { form } from "./form.js";
import { setQuill } from "./open-text.js";
import { createQuill } from "./quills.js";
import { showTools } from "./toolbar.js";
import { useText } from "./values.js";

const FORMATS = ["bold", "italic", "underline", "strike", "link", "color", "background", "size", "header", "list", "indent", "align", "placeholder", "softbreak"];
const COLOR = /^#[0-9a-f]{6}$/i;
const Delta = window.Quill.import("delta");
const tools = form.querySelector(".tools-writing");

let quill = null;
let addPictures = () => {};
let opened = ""; // the ID of the block that is being edited

// Return the attributes that letters support; pasted text may have others.
function keepSupported({ list, header, indent, color, background, align, ...others }) {
  const kept = { ...others };
  if (list) kept.list = list === "ordered" ? "ordered" : "bullet";
  if (header) kept.header = Math.min(header, 3);
  if (indent) kept.indent = Math.min(indent, 5);
  if (COLOR.test(color)) kept.color = color;
  if (COLOR.test(background)) kept.background = background;
  if (align === "center" || align === "right") kept.align = align;
  return kept;
}

function readOps() {
  return quill.getContents().ops.map(({ insert, attributes }) => {
    const kept = attributes ? keepSupported(attributes) : {};
    return Object.keys(kept).length ? { insert, attributes: kept } : { insert };
  });
}

// Return the node and the offset in it at a point of the page; browsers have one of two functions for it.
function findPoint({ clientX, clientY }) {
  if (document.caretPositionFromPoint) {
    const position = document.caretPositionFromPoint(clientX, clientY);
    return position ? [position.offsetNode, position.offset] : [];
  }
  const range = document.caretRangeFromPoint(clientX, clientY);
  return range ? [range.startContainer, range.startOffset] : [];
}

function placeCursor(event) {
  const [node, offset] = event && event.detail ? findPoint(event) : [];
  if (node && quill.root.contains(node)) document.getSelection().setBaseAndExtent(node, offset, node, offset);
  else quill.setSelection(quill.getLength() - 1, "user");
}

// Open the text of a block; the cursor is placed where `event`, the click, occurred.
export function openText(id, event) {
  if (opened === id) return quill.focus();
  closeText();
  const node = h("div", { class: "bt" });
  quill = createQuill(node, {
    formats: FORMATS,
    label: texts.types.text,
    placeholder: texts.hints.text,
    onType: () => setField(id, ["delta"], { ops: readOps() }),
    onSelection: showTools,
    onFiles: (files) => addPictures(files),
  });
  opened = id;
  quill.setContents(locate(id).block.delta || { ops: [] }, "silent");
  setQuill(quill);
  useText();
  tools.hidden = false;
  setEditing({ id, node, focus: () => quill.focus() });
  quill.focus({ preventScroll: true });
  placeCursor(event);
}

export function closeText() {
  if (!opened) return;
  opened = "";
  quill = null;
  setQuill(null);
  tools.hidden = true;
  setEditing(null);
}

export function isOpen(id) {
  return opened === id;
}

// Start the text field; `onFiles` is called with pasted and dropped pictures.
export function startText({ onFiles }) {
  addPictures = onFiles;
  onChange((what) => {
    if (!opened || what !== "all") return;
    const place = locate(opened);
    if (!place) return closeText();
    // After an undo, change only what differs, so that the cursor keeps its place.
    const change = quill.getContents().diff(new Delta((place.block.delta || { ops: [{ insert: "\n" }] }).ops));
    if (change.ops.length) quill.updateContents(change, "silent");
  });
}
