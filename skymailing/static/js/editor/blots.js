// Formats that Quill lacks: placeholders, buttons, our pictures, dividers and line breaks.
import { form } from "./form.js";

const Quill = window.Quill;
const Embed = Quill.import("blots/embed");
const BlockEmbed = Quill.import("blots/block/embed");
const Inline = Quill.import("blots/inline");
const Image = Quill.import("formats/image");
const Link = Quill.import("formats/link");
const EXTERNAL_SYMBOL = `data:image/svg+xml,${encodeURIComponent('<svg xmlns="http://www.w3.org/2000/svg" width="240" height="60"><rect width="240" height="60" rx="6" fill="#8884"/><path d="M104 22h32v20h-32zm4 16 8-9 6 6 4-4 6 7z" fill="#888"/></svg>')}`;

// The labels of placeholders in the menu, by the path of the value that each prints.
const names = {};

function pathOf(tag) {
  return tag.replace(/^\{\{-?\s*|\s*-?\}\}$/g, "").split("|")[0].trim();
}

export function nameValues(values) {
  for (const { text, label } of values) names[pathOf(text)] = label;
}

export function labelOf(tag) {
  const name = tag.charAt(1) === "{" && names[pathOf(tag)];
  if (!name) return tag;
  const filters = tag.indexOf("|");
  if (filters < 0) return name;
  const fallback = /^\|\s*default:\s*(["'])(.*?)\1\s*-?\}\}$/.exec(tag.slice(filters));
  return fallback ? `${name} / ${fallback[2]}` : tag;
}

class Placeholder extends Embed {
  static blotName = "placeholder";
  static tagName = "SPAN";
  static className = "chip";

  static create(tag) {
    const node = super.create(tag);
    node.dataset.liquid = tag;
    node.title = tag;
    node.textContent = labelOf(tag);
    if (tag.charAt(1) === "%") node.classList.add("chip-statement");
    return node;
  }

  static value(node) {
    return node.dataset.liquid;
  }
}

class SoftBreak extends Embed {
  static blotName = "softbreak";
  static tagName = "SPAN";
  static className = "soft-break";

  static create(value) {
    const node = super.create(value);
    node.append(document.createElement("br"));
    return node;
  }

  static value() {
    return true;
  }
}

class Divider extends BlockEmbed {
  static blotName = "divider";
  static tagName = "HR";

  static value() {
    return true;
  }
}

class LetterButton extends Inline {
  static blotName = "button";
  static tagName = "A";
  static className = "button";

  static create(url) {
    const node = super.create();
    node.setAttribute("href", Link.sanitize(url));
    return node;
  }

  static formats(node) {
    return node.getAttribute("href");
  }

  format(name, value) {
    if (name !== "button" || !value) super.format(name, value);
    else this.domNode.setAttribute("href", Link.sanitize(value));
  }
}
Inline.order.push("button");

// Return the URL from which the editor shows a picture. Ours come from this site; pictures of other
// sites are replaced with a symbol, because the page may load nothing from elsewhere.
export function displayUrl(url) {
  const { pictureBase, picturePath } = form.dataset;
  const path = url.startsWith(pictureBase) ? url.slice(pictureBase.length) : "";
  return /^(pictures|designs|media)\//.test(path) ? picturePath + path : EXTERNAL_SYMBOL;
}

class Picture extends Image {
  static blotName = "image";
  static tagName = "IMG";

  static create(url) {
    const node = document.createElement("img");
    node.dataset.src = url;
    node.setAttribute("src", displayUrl(url));
    return node;
  }

  static value(node) {
    return node.dataset.src || node.getAttribute("src");
  }

  static sanitize(url) {
    return url;
  }
}

Quill.register({
  "formats/placeholder": Placeholder,
  "formats/softbreak": SoftBreak,
  "formats/divider": Divider,
  "formats/button": LetterButton,
  "formats/image": Picture,
}, true);
