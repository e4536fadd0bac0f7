// Write Quill's content as plain HTML that mail programs show correctly.
import { LIQUID, readLines } from "./letter-text.js";

const TAGS = { bold: "strong", italic: "em", underline: "u", strike: "s" };

// Escape everything except Liquid tags: a > or a quotation mark in a tag is not changed.
function escapeAround(text, escapePart) {
  let out = "", end = 0;
  for (const { 0: tag, index } of text.matchAll(LIQUID)) {
    out += escapePart(text.slice(end, index)) + tag;
    end = index + tag.length;
  }
  return out + escapePart(text.slice(end));
}

function escapeText(text) {
  return escapeAround(text, (part) => (
    part.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;").replace(/\u00a0/g, "&nbsp;")
  ));
}

function escapeValue(text) {
  return escapeAround(String(text), (part) => (
    part.replace(/&/g, "&amp;").replace(/"/g, "&quot;").replace(/</g, "&lt;")
  ));
}

// List the elements around a piece of text, the outermost first, as pairs of tags.
function listWrappers(attributes) {
  const list = [];
  if (attributes.button) list.push([`<a class="button" href="${escapeValue(attributes.button)}">`, "</a>"]);
  else if (attributes.link) list.push([`<a href="${escapeValue(attributes.link)}">`, "</a>"]);
  for (const [name, tag] of Object.entries(TAGS)) {
    if (attributes[name]) list.push([`<${tag}>`, `</${tag}>`]);
  }
  return list;
}

function writeEmbed(insert, attributes) {
  if (insert.placeholder) return insert.placeholder;
  if (insert.softbreak) return "<br>";
  if (!insert.image) return "";
  let text = `<img src="${escapeValue(insert.image)}" alt="${escapeValue(attributes.alt || "")}"`;
  if (attributes.width) text += ` width="${escapeValue(attributes.width)}"`;
  if (attributes.height) text += ` height="${escapeValue(attributes.height)}"`;
  return `${text}>`;
}

function writeInline(pieces) {
  const open = [];
  let out = "";
  for (const { insert, attributes } of pieces) {
    const needed = listWrappers(attributes);
    let same = 0;
    while (same < open.length && same < needed.length && open[same][0] === needed[same][0]) same++;
    while (open.length > same) out += open.pop()[1];
    for (const wrapper of needed.slice(same)) {
      out += wrapper[0];
      open.push(wrapper);
    }
    out += typeof insert === "string" ? escapeText(insert) : writeEmbed(insert, attributes);
  }
  while (open.length) out += open.pop()[1];
  return out;
}

// A line of Liquid statements is not a paragraph: it must not add an empty line to the letter.
function isStatement(line) {
  return line.pieces.length > 0 && line.pieces.every(({ insert }) => {
    if (typeof insert === "string") return !insert.trim();
    return insert.placeholder && insert.placeholder.charAt(1) === "%";
  });
}

function writeBlock(line) {
  if (line.divider) return "<hr>";
  const { header, blockquote, align } = line.attributes;
  const text = writeInline(line.pieces);
  if (isStatement(line)) return text;
  const name = header ? `h${header}` : blockquote ? "blockquote" : "p";
  const place = align === "center" || align === "right" ? ` class="${align}"` : "";
  return `<${name}${place}>${text || "<br>"}</${name}>`;
}

// Write the list that begins at a line; deeper lists go inside the item before them.
function writeList(lines, from, depth) {
  let out = "", at = from, kind = null;
  const indentAt = (place) => lines[place].attributes.indent || 0;
  while (at < lines.length && lines[at].attributes.list && indentAt(at) >= depth) {
    const name = lines[at].attributes.list === "ordered" ? "ol" : "ul";
    if (indentAt(at) > depth && kind) {
      const inner = writeList(lines, at, depth + 1);
      out = out.replace(/<\/li>\n$/, () => `\n${inner.text}</li>\n`);
      at = inner.at;
      continue;
    }
    if (kind !== name) {
      out += `${kind ? `</${kind}>\n` : ""}<${name}>\n`;
      kind = name;
    }
    out += `<li>${writeInline(lines[at].pieces)}</li>\n`;
    at++;
  }
  return { text: `${out}</${kind}>\n`, at };
}

export function writeHtml(delta) {
  const lines = readLines(delta.ops);
  let out = "", at = 0;
  while (at < lines.length) {
    if (lines[at].attributes.list) {
      const list = writeList(lines, at, 0);
      out += list.text;
      at = list.at;
    } else {
      out += `${writeBlock(lines[at])}\n`;
      at++;
    }
  }
  return out;
}
