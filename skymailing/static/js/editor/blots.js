// What Quill does not know by itself: placeholders, buttons, pictures of ours, dividing lines, line breaks.
(function () {
  "use strict";
  var editor = window.letterEditor;
  var Embed = Quill.import("blots/embed");
  var BlockEmbed = Quill.import("blots/block/embed");
  var Inline = Quill.import("blots/inline");
  var Image = Quill.import("formats/image");
  var Link = Quill.import("formats/link");

  // Names of placeholders as the menu has them, by the path that they print.
  var names = {};

  function pathOf(tag) {
    return tag.replace(/^\{\{-?\s*|\s*-?\}\}$/g, "").split("|")[0].trim();
  }

  editor.nameValues = function (list) {
    list.forEach(function (value) {
      names[pathOf(value.text)] = value.label;
    });
  };

  function label(tag) {
    var name = tag.charAt(1) === "{" && names[pathOf(tag)];
    if (!name) return tag;
    var rest = tag.slice(tag.indexOf("|"));
    var instead = tag.indexOf("|") > 0 && /^\|\s*default:\s*(["'])(.*?)\1\s*-?\}\}$/.exec(rest);
    if (tag.indexOf("|") > 0 && !instead) return tag;
    return instead ? name + " / " + instead[2] : name;
  }

  class Placeholder extends Embed {
    static create(tag) {
      var node = super.create(tag);
      node.dataset.liquid = tag;
      node.title = tag;
      node.textContent = label(tag);
      if (tag.charAt(1) === "%") node.classList.add("chip-statement");
      return node;
    }
    static value(node) {
      return node.dataset.liquid;
    }
  }
  Placeholder.blotName = "placeholder";
  Placeholder.tagName = "SPAN";
  Placeholder.className = "chip";

  class SoftBreak extends Embed {
    static create(value) {
      var node = super.create(value);
      node.appendChild(document.createElement("br"));
      return node;
    }
    static value() {
      return true;
    }
  }
  SoftBreak.blotName = "softbreak";
  SoftBreak.tagName = "SPAN";
  SoftBreak.className = "soft-break";

  class Divider extends BlockEmbed {
    static value() {
      return true;
    }
  }
  Divider.blotName = "divider";
  Divider.tagName = "HR";

  class LetterButton extends Inline {
    static create(url) {
      var node = super.create();
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
  LetterButton.blotName = "button";
  LetterButton.tagName = "A";
  LetterButton.className = "button";
  Inline.order.push("button");

  // Our pictures are shown from where this page is; those of other sites are only named, as the page may
  // load nothing from there.
  class Picture extends Image {
    static create(url) {
      var node = document.createElement("img");
      node.dataset.src = url;
      node.setAttribute("src", editor.shownPicture(url));
      return node;
    }
    static value(node) {
      return node.dataset.src || node.getAttribute("src");
    }
    static sanitize(url) {
      return url;
    }
  }
  Picture.blotName = "image";
  Picture.tagName = "IMG";

  var ELSEWHERE = "data:image/svg+xml," + encodeURIComponent('<svg xmlns="http://www.w3.org/2000/svg" width="240" height="60"><rect width="240" height="60" rx="6" fill="#8884"/><path d="M104 22h32v20h-32zm4 16 8-9 6 6 4-4 6 7z" fill="#888"/></svg>');
  editor.shownPicture = function (url) {
    var data = editor.form.dataset;
    return url.indexOf(data.pictureBase) === 0 ? data.picturePath + url.slice(data.pictureBase.length) : ELSEWHERE;
  };

  Quill.register({ "formats/placeholder": Placeholder, "formats/softbreak": SoftBreak, "formats/divider": Divider, "formats/button": LetterButton, "formats/image": Picture }, true);
})();
