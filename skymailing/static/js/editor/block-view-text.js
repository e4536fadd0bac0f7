// Draw text with placeholders, and formatted text (Delta), as text_html.py writes it.
import { h } from "./dom.js";
import { labelOf, LIQUID, readLines } from "./letter-text.js";

const TAGS = { bold: "strong", italic: "em", underline: "u", strike: "s" };
const SIZES = { small: 0.85, large: 1.25, huge: 1.75 }; // times the letter's size
export const HEADINGS = { 1: 1.75, 2: 1.375, 3: 1.125 }; // times the letter's size

function drawTag(tag) {
  const isStatement = tag.charAt(1) === "%";
  return h("span", { class: `chip-view${isStatement ? " chip-view-statement" : ""}`, text: labelOf(tag), title: tag });
}

function drawLines(text) {
  return text.split("\n").flatMap((part, place) => (place ? [h("br"), part] : [part]));
}

// Draw a plain text; its Liquid tags become chips.
export function drawText(text) {
  const nodes = [];
  let end = 0;
  for (const { 0: tag, index } of text.matchAll(LIQUID)) {
    nodes.push(...drawLines(text.slice(end, index)), drawTag(tag));
    end = index + tag.length;
  }
  nodes.push(...drawLines(text.slice(end)));
  const fragment = document.createDocumentFragment();
  fragment.append(...nodes);
  return fragment;
}

function drawPiece({ insert, attributes }, palette) {
  let node;
  if (typeof insert === "string") node = drawText(insert);
  else if (insert.placeholder) node = drawTag(insert.placeholder);
  else node = h("br");
  for (const [name, tag] of Object.entries(TAGS)) {
    if (attributes[name]) node = h(tag, {}, node);
  }
  const { color, background, size, link } = attributes;
  if (color || background || size) {
    const fontSize = SIZES[size] ? `${Math.round(palette.size * SIZES[size])}px` : "";
    node = h("span", { style: { color: color || "", backgroundColor: background || "", fontSize } }, node);
  }
  return link ? h("span", { class: "bv-link", style: { color: color || palette.link } }, node) : node;
}

function drawLine(line, palette, tag) {
  const node = h(tag, { class: "bv-line" }, line.pieces.map((piece) => drawPiece(piece, palette)));
  const { align, header } = line.attributes;
  if (align) node.style.textAlign = align;
  if (header) {
    node.classList.add("bv-heading");
    node.style.fontSize = `${Math.round(palette.size * HEADINGS[header])}px`;
  }
  if (!line.pieces.length) node.append(h("br"));
  return node;
}

// Draw a Delta; null if it is empty.
export function drawDelta(delta, palette) {
  const lines = readLines((delta && delta.ops) || []);
  while (lines.length && !lines.at(-1).pieces.length) lines.pop();
  if (!lines.length) return null;
  const box = h("div", { class: "bv-text" });
  let list = null, kind = "";
  for (const line of lines) {
    const { list: listKind, indent = 0 } = line.attributes;
    if (!listKind) {
      list = null;
      box.append(drawLine(line, palette, "div"));
      continue;
    }
    if (!list || kind !== `${listKind}${indent}`) {
      kind = `${listKind}${indent}`;
      list = h(listKind === "ordered" ? "ol" : "ul", { class: "bv-list", style: { paddingLeft: `${24 * (indent + 1)}px` } });
      box.append(list);
    }
    list.append(drawLine(line, palette, "li"));
  }
  return box;
}
