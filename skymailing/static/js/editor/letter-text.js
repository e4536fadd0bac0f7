// The parts of a letter's text: Liquid tags and their labels, images, and the lines of formatted text. Modules that
// draw a letter need this before Quill has loaded.
import { form } from "./form.js";

export const LIQUID = /\{\{[\s\S]*?\}\}|\{%[\s\S]*?%\}/g;

const EXTERNAL_SYMBOL = `data:image/svg+xml,${encodeURIComponent('<svg xmlns="http://www.w3.org/2000/svg" width="240" height="60"><rect width="240" height="60" rx="6" fill="#8884"/><path d="M104 22h32v20h-32zm4 16 8-9 6 6 4-4 6 7z" fill="#888"/></svg>')}`;

// The labels of placeholders in the menu of client data, by the path of the value that each prints.
const names = {};
for (const button of form.querySelectorAll(".values [data-value]")) {
  names[pathOf(button.dataset.value)] = button.querySelector("strong").textContent;
}

function pathOf(tag) {
  return tag.replace(/^\{\{-?\s*|\s*-?\}\}$/g, "").split("|")[0].trim();
}

export function labelOf(tag) {
  const name = tag.charAt(1) === "{" && names[pathOf(tag)];
  if (!name) return tag;
  const filters = tag.indexOf("|");
  if (filters < 0) return name;
  const fallback = /^\|\s*default:\s*(["'])(.*?)\1\s*-?\}\}$/.exec(tag.slice(filters));
  return fallback ? `${name} / ${fallback[2]}` : tag;
}

// Return the URL from which the editor shows a picture. Ours come from this site; pictures of other
// sites are replaced with a symbol, because the page must not load them.
export function displayUrl(url) {
  const { pictureBase, picturePath } = form.dataset;
  const path = url.startsWith(pictureBase) ? url.slice(pictureBase.length) : "";
  return /^(pictures|designs|media)\//.test(path) ? picturePath + path : EXTERNAL_SYMBOL;
}

// Split a Delta's operations into lines: their pieces of text, and the attributes of the whole line.
export function readLines(ops) {
  const lines = [];
  let pieces = [];
  for (const op of ops) {
    const attributes = op.attributes || {};
    if (typeof op.insert !== "string") {
      if (op.insert.divider) lines.push({ divider: true, pieces: [], attributes: {} });
      else pieces.push({ insert: op.insert, attributes });
      continue;
    }
    op.insert.split("\n").forEach((part, place, parts) => {
      if (part) pieces.push({ insert: part, attributes });
      if (place === parts.length - 1) return;
      lines.push({ pieces, attributes });
      pieces = [];
    });
  }
  return lines;
}
