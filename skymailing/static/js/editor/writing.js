// Writing mode: edit the text of an HTML message with Quill.
import { form, setBody, texts } from "./form.js";
import { announceFiles, announceSelection, setQuill } from "./open-text.js";
import { dropEmptyEnd, findLosses, maskLiquid, normalize, parseInert, splitPage } from "./page.js";
import { createQuill } from "./quills.js";
import { writeHtml } from "./write-html.js";

const Delta = window.Quill.import("delta");
const FORMATS = ["bold", "italic", "underline", "strike", "link", "button", "header", "list", "indent", "blockquote", "align", "placeholder", "softbreak", "image", "divider"];

let quill = null;
let page = null; // the HTML before and after the text
let masked = null; // the Liquid tags of the HTML that is being read

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

function open() {
  quill = createQuill(form.querySelector(".writing-area"), {
    formats: FORMATS,
    label: texts.body,
    matchers: [[Node.TEXT_NODE, readText], ["p, h1, h2, h3", readAlignment], ["br", readBreak], ["img", readPicture]],
    onType: () => setBody(`${page.before}\n${writeHtml(quill.getContents())}${page.after}`),
    onSelection: announceSelection,
    onFiles: announceFiles,
  });
  setQuill(quill);
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

// Open HTML in writing mode. If anything would be lost, return it and open nothing, unless forced.
export function openWriting(html, isForced) {
  if (!quill) open();
  const parts = splitPage(html);
  const text = dropEmptyEnd(parts.text);
  const delta = readHtml(text);
  const isWhole = normalize(text) === normalize(writeHtml(delta));
  if (!isWhole && !isForced) {
    const losses = findLosses(parts.text, texts);
    return losses.length ? losses : [texts.lostOther];
  }
  page = { before: parts.before.replace(/\s+$/, ""), after: parts.after };
  quill.setContents(delta, "silent");
  quill.history.clear();
  return [];
}

export function getWriting() {
  return quill;
}

export function isBlank() {
  return !quill || quill.getContents().ops.every((op) => typeof op.insert === "string" && !op.insert.trim());
}
