// Write Quill's content as Markdown, which keeps everything but the design around the text.
import { LIQUID, readLines } from "./letter-text.js";

// Escape what Markdown would read as formatting. An underscore inside a word has no meaning there.
function escapeMarkdown(text) {
  const escapePart = (part) => part
    .replace(/[\\`*[\]<~]/g, "\\$&")
    .replace(/(^|[^\p{L}\p{N}])_|_(?![\p{L}\p{N}])/gu, (found) => found.replace("_", "\\_"));
  let out = "", end = 0;
  for (const { 0: tag, index } of text.matchAll(LIQUID)) {
    out += escapePart(text.slice(end, index)) + tag;
    end = index + tag.length;
  }
  return out + escapePart(text.slice(end));
}

function wrap(text, mark, end = mark) {
  // Markdown does not read a mark next to a space as formatting.
  const [, before, inner, after] = /^(\s*)([\s\S]*?)(\s*)$/.exec(text);
  return inner ? before + mark + inner + end + after : text;
}

function writePiece({ insert, attributes }) {
  let text;
  if (typeof insert === "string") text = escapeMarkdown(insert);
  else if (insert.placeholder) text = insert.placeholder;
  else if (insert.softbreak) return "\n";
  else text = `![${(attributes.alt || "").replace(/[[\]]/g, "")}](${insert.image})`;
  if (attributes.strike) text = wrap(text, "~~");
  if (attributes.underline) text = wrap(text, "<u>", "</u>");
  if (attributes.italic) text = wrap(text, "*");
  if (attributes.bold) text = wrap(text, "**");
  return text;
}

function targetOf({ attributes }) {
  return attributes.button || attributes.link;
}

function writeInline(pieces) {
  let out = "", at = 0;
  while (at < pieces.length) {
    const target = targetOf(pieces[at]);
    let text = "";
    while (at < pieces.length && targetOf(pieces[at]) === target) text += writePiece(pieces[at++]);
    out += target ? wrap(text, "[", `](${target})`) : text;
  }
  return out;
}

function writeLine(line) {
  const { header, list, indent, blockquote } = line.attributes;
  if (line.divider) return "---";
  const text = writeInline(line.pieces);
  if (header) return `${"#".repeat(header)} ${text.replace(/\n/g, " ")}`;
  if (list) return "   ".repeat(indent || 0) + (list === "ordered" ? "1. " : "- ") + text.replace(/\n/g, "\n   ");
  if (blockquote) return `> ${text.replace(/\n/g, "\n> ")}`;
  // A paragraph that begins like a heading, a list or a quotation must remain a paragraph.
  return text.replace(/^(\s*)([#>+-]|\d+[.)])(?=\s)/gm, (_all, space, mark) => (
    space + (/\d/.test(mark) ? `${mark.slice(0, -1)}\\${mark.slice(-1)}` : `\\${mark}`)
  ));
}

export function writeMarkdown(delta) {
  let out = "", before = null;
  for (const line of readLines(delta.ops)) {
    const text = writeLine(line);
    if (!text.trim() && !line.divider) continue;
    const isSameList = before && before.attributes.list && line.attributes.list;
    out += (before ? (isSameList ? "\n" : "\n\n") : "") + text;
    before = line;
  }
  return `${out}\n`;
}
