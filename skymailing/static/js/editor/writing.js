// Writing mode: edit the text of an HTML message with Quill.
import "./blots.js";
import "./paste.js";
import { form, setBody, texts } from "./form.js";
import { dropEmptyEnd, LIQUID, listLosses, maskLiquid, normalize, parseInert, splitPage } from "./page.js";
import { writeHtml } from "./write-html.js";

const Quill = window.Quill;
const Delta = Quill.import("delta");
const FORMATS = ["bold", "italic", "underline", "strike", "link", "button", "header", "list", "indent", "blockquote", "align", "placeholder", "softbreak", "image", "divider"];
const PICTURES = ["image/png", "image/jpeg", "image/webp"];

let quill = null;
let page = null; // the HTML before and after the text
let masked = null; // the Liquid tags of the HTML that is being read
let handlers = {};

function readText(node, delta) {
  if (!masked || !node.data) return delta;
  return delta.ops.reduce((result, op) => {
    if (typeof op.insert !== "string") return result.push(op);
    let end = 0;
    for (const { 0: word, 2: place, index } of op.insert.matchAll(masked.word)) {
      if (index > end) result.insert(op.insert.slice(end, index), op.attributes);
      result.insert({ placeholder: masked.tags[Number(place)] }, op.attributes);
      end = index + word.length;
    }
    return end < op.insert.length ? result.insert(op.insert.slice(end), op.attributes) : result;
  }, new Delta());
}

function readAlignment(node, delta) {
  const align = ["center", "right"].find((name) => node.classList.contains(name));
  return align ? delta.compose(new Delta().retain(delta.length(), { align })) : delta;
}

function readBreak(node, delta) {
  let next = node.nextSibling;
  while (next && next.nodeType === Node.TEXT_NODE && !next.data.trim()) next = next.nextSibling;
  const parent = node.parentNode && node.parentNode.nodeName;
  if (!next || parent === "BODY" || parent === "DIV") return delta;
  return new Delta().insert({ softbreak: true });
}

function readPicture(node, delta) {
  // A picture embedded in pasted text is not on any server, so recipients could not load it.
  return /^(data|blob|file):/.test(node.getAttribute("src") || "") ? new Delta() : delta;
}

function insertSoftBreak(range) {
  quill.insertEmbed(range.index, "softbreak", true, "user");
  quill.setSelection(range.index + 1, "silent");
  return false;
}

const leaveField = () => true;

function createQuill() {
  quill = new Quill(form.querySelector(".writing-area"), {
    formats: FORMATS,
    modules: {
      toolbar: false,
      history: { userOnly: true },
      clipboard: {
        matchers: [[Node.TEXT_NODE, readText], ["p, h1, h2, h3", readAlignment], ["br", readBreak], ["img", readPicture]],
      },
      keyboard: {
        bindings: {
          // Outside lists, Tab goes to the next field: the keyboard must not be trapped in the text.
          tab: { key: "Tab", handler: leaveField },
          "remove tab": { key: "Tab", shiftKey: true, handler: leaveField },
          softbreak: { key: "Enter", shiftKey: true, handler: insertSoftBreak },
        },
      },
      uploader: { mimetypes: PICTURES, handler: (_range, files) => handlers.onFiles(files) },
    },
  });
  quill.root.setAttribute("aria-label", texts.body);
  quill.root.setAttribute("role", "textbox");
  quill.root.setAttribute("aria-multiline", "true");
  quill.root.setAttribute("spellcheck", "true");
  quill.on("text-change", (change, _before, source) => {
    if (source !== "user") return;
    if (JSON.stringify(change.ops).includes("}")) replaceTypedTags();
    setBody(`${page.before}\n${writeHtml(quill.getContents())}${page.after}`);
  });
  letChipsBeSelected();
  quill.on("editor-change", () => handlers.onSelection(quill));
}

// A click selects a chip, since a cursor inside would type into nothing. Delete removes the selected chip;
// typed text is inserted after it.
function letChipsBeSelected() {
  const placeOf = (node) => {
    const chip = node && node.closest(".chip");
    return chip ? quill.getIndex(Quill.find(chip)) : -1;
  };
  const isAlone = (range) => range && range.length === 1 && Boolean(quill.getContents(range.index, 1).ops[0].insert.placeholder);
  quill.root.addEventListener("mousedown", (event) => {
    const index = placeOf(event.target);
    if (index < 0 || event.button) return;
    event.preventDefault();
    quill.focus({ preventScroll: true });
    quill.setSelection(index, 1, "user");
  });
  quill.root.addEventListener("keydown", (event) => {
    const range = quill.getSelection();
    const isText = event.key.length === 1 || event.key === "Process";
    if (isText && !event.ctrlKey && !event.metaKey && isAlone(range)) quill.setSelection(range.index + 1, "user");
  }, { capture: true });
}

// Turn typed placeholders into chips, like the placeholders inserted from the menu.
function replaceTypedTags() {
  const change = new Delta();
  let isChanged = false;
  for (const op of quill.getContents().ops) {
    if (typeof op.insert !== "string") {
      change.retain(1);
      continue;
    }
    let end = 0;
    for (const { 0: tag, index } of op.insert.matchAll(LIQUID)) {
      if (tag.includes("\n")) continue;
      change.retain(index - end).delete(tag.length).insert({ placeholder: tag }, op.attributes);
      end = index + tag.length;
      isChanged = true;
    }
    change.retain(op.insert.length - end);
  }
  if (isChanged) quill.updateContents(change, "silent");
}

function readHtml(html) {
  masked = maskLiquid(html);
  const body = parseInert(masked.text);
  for (const node of body.querySelectorAll("[href], [src], [alt]")) {
    for (const name of ["href", "src", "alt"]) {
      if (node.hasAttribute(name)) node.setAttribute(name, masked.restore(node.getAttribute(name)));
    }
  }
  const delta = quill.clipboard.convert({ html: body.innerHTML, text: "" });
  masked = null;
  // Quill omits the end of the last line.
  const last = delta.ops.at(-1);
  if (!last || typeof last.insert !== "string" || !last.insert.endsWith("\n")) delta.insert("\n");
  return delta;
}

export function startWriting({ onSelection, onFiles }) {
  handlers = { onSelection, onFiles };
}

// Open HTML in writing mode. If anything would be lost, return it and open nothing, unless forced.
export function openWriting(html, isForced) {
  if (!quill) createQuill();
  const parts = splitPage(html);
  const text = dropEmptyEnd(parts.text);
  const delta = readHtml(text);
  const isWhole = normalize(text) === normalize(writeHtml(delta));
  if (!isWhole && !isForced) return listLosses(parts.text, texts);
  page = { before: parts.before.replace(/\s+$/, ""), after: parts.after };
  quill.setContents(delta, "silent");
  quill.history.clear();
  return [];
}

export function getWriting() {
  return quill;
}

// Return the selection, including one made before a dialog was opened; otherwise the end of the text.
export function findPlace() {
  quill.focus();
  return quill.getSelection() || { index: quill.getLength() - 1, length: 0 };
}

export function isBlank() {
  return !quill || quill.getContents().ops.every((op) => typeof op.insert === "string" && !op.insert.trim());
}
