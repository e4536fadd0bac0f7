// Writing mode: Quill on the text of an HTML letter.
(function () {
  "use strict";
  var editor = window.letterEditor;
  var Delta = Quill.import("delta");
  var FORMATS = ["bold", "italic", "underline", "strike", "link", "button", "header", "list", "indent", "blockquote", "align", "placeholder", "softbreak", "image", "divider"];
  var quill = null;
  var page = null; // what is around the text
  var shield = null; // while HTML is read: its Liquid tags

  function readText(node, delta) {
    if (!shield || !node.data) return delta;
    return delta.ops.reduce(function (read, op) {
      if (typeof op.insert !== "string") return read.push(op);
      var end = 0;
      op.insert.replace(shield.word, function (word, _kind, place, at) {
        if (at > end) read.insert(op.insert.slice(end, at), op.attributes);
        read.insert({ placeholder: shield.tags[Number(place)] }, op.attributes);
        end = at + word.length;
        return "";
      });
      return end < op.insert.length ? read.insert(op.insert.slice(end), op.attributes) : read;
    }, new Delta());
  }

  function readPlace(node, delta) {
    var place = ["center", "right"].filter(function (name) {
      return node.classList.contains(name);
    })[0];
    return place ? delta.compose(new Delta().retain(delta.length(), { align: place })) : delta;
  }

  function readBreak(node, delta) {
    var next = node.nextSibling;
    while (next && next.nodeType === Node.TEXT_NODE && !next.data.trim()) next = next.nextSibling;
    var parent = node.parentNode && node.parentNode.nodeName;
    if (!next || parent === "BODY" || parent === "DIV") return delta;
    return new Delta().insert({ softbreak: true });
  }

  function readPicture(node, delta) {
    // A picture inside of pasted text, not one of a letter: it would be in nobody's hands.
    return /^(data|blob|file):/.test(node.getAttribute("src") || "") ? new Delta() : delta;
  }

  function leave() {
    return true;
  }

  function make() {
    quill = new Quill(editor.form.querySelector(".writing-area"), {
      formats: FORMATS,
      modules: {
        toolbar: false,
        history: { userOnly: true },
        clipboard: { matchers: [[Node.TEXT_NODE, readText], ["p, h1, h2, h3", readPlace], ["br", readBreak], ["img", readPicture]] },
        keyboard: {
          bindings: {
            // Out of lists, Tab leads on to the next field, as everywhere: nobody is caught in here.
            tab: { key: "Tab", handler: leave },
            "remove tab": { key: "Tab", shiftKey: true, handler: leave },
            softbreak: {
              key: "Enter",
              shiftKey: true,
              handler: function (range) {
                quill.insertEmbed(range.index, "softbreak", true, "user");
                quill.setSelection(range.index + 1, "silent");
                return false;
              },
            },
          },
        },
        uploader: {
          mimetypes: ["image/png", "image/jpeg", "image/webp"],
          handler: function (_range, files) {
            editor.uploadPictures(files);
          },
        },
      },
    });
    quill.root.setAttribute("aria-label", editor.words.body);
    quill.root.setAttribute("role", "textbox");
    quill.root.setAttribute("aria-multiline", "true");
    quill.root.setAttribute("spellcheck", "true");
    quill.on("text-change", function (change, _before, source) {
      if (source !== "user") return;
      if (JSON.stringify(change.ops).indexOf("}") >= 0) makeChips();
      editor.setBody(page.before + "\n" + editor.write(quill.getContents()) + page.after, quill);
    });
    quill.on("editor-change", function () {
      editor.showTools(quill);
    });
  }

  // Placeholders that were typed become as visible as those from the menu.
  function makeChips() {
    var at = 0;
    var change = new Delta();
    var isChanged = false;
    quill.getContents().ops.forEach(function (op) {
      if (typeof op.insert !== "string") {
        change.retain(1);
        return;
      }
      var end = 0;
      op.insert.replace(editor.LIQUID, function (tag, place) {
        if (tag.indexOf("\n") >= 0) return "";
        change.retain(place - end).delete(tag.length).insert({ placeholder: tag }, op.attributes);
        end = place + tag.length;
        isChanged = true;
        return "";
      });
      change.retain(op.insert.length - end);
      at += op.insert.length;
    });
    if (isChanged) quill.updateContents(change, "silent");
  }

  function read(html) {
    shield = editor.protect(html);
    var body = editor.parse(shield.text);
    Array.prototype.forEach.call(body.querySelectorAll("[href], [src], [alt]"), function (node) {
      ["href", "src", "alt"].forEach(function (name) {
        if (node.hasAttribute(name)) node.setAttribute(name, shield.restore(node.getAttribute(name)));
      });
    });
    var delta = quill.clipboard.convert({ html: body.innerHTML, text: "" });
    shield = null;
    // Quill ends a converted text without its last line's end.
    var last = delta.ops[delta.ops.length - 1];
    if (!last || typeof last.insert !== "string" || !/\n$/.test(last.insert)) delta.insert("\n");
    return delta;
  }

  // Tries to take a letter in; returns what would be lost, an empty list when nothing is.
  editor.openWriting = function (html, isForced) {
    if (!quill) make();
    var parts = editor.split(html);
    var delta = read(parts.text);
    var isWhole = editor.canonical(parts.text) === editor.canonical(editor.write(delta));
    if (!isWhole && !isForced) return editor.describeLoss(parts.text, editor.words);
    page = { before: parts.before.replace(/\s+$/, ""), after: parts.after };
    quill.setContents(delta, "silent");
    quill.history.clear();
    return [];
  };

  editor.writing = function () {
    return quill;
  };

  // Where to put something: the selection, also the one before a dialog was open; else the end.
  editor.place = function () {
    quill.focus();
    return quill.getSelection() || { index: quill.getLength() - 1, length: 0 };
  };

  editor.isBlank = function () {
    return !quill || quill.getContents().ops.every(function (op) {
      return typeof op.insert === "string" && !op.insert.trim();
    });
  };
})();
