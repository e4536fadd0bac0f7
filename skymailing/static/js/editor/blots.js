// Formats that Quill lacks: placeholders, buttons, our pictures, dividers and line breaks.
import { displayUrl, labelOf } from "./letter-text.js";

const Quill = window.Quill;
const Embed = Quill.import("blots/embed");
const BlockEmbed = Quill.import("blots/block/embed");
const Inline = Quill.import("blots/inline");
const Image = Quill.import("formats/image");
const Link = Quill.import("formats/link");

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
