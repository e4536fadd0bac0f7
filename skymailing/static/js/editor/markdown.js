// What was written, as Markdown: all but the design around it comes along.
(function () {
  "use strict";
  var editor = window.letterEditor;

  // Signs that Markdown would take for its own; those inside of words it leaves alone.
  function escape(text) {
    var end = 0;
    var out = "";
    function plain(part) {
      return part.replace(/[\\`*[\]<~]/g, "\\$&").replace(/(^|[^\p{L}\p{N}])_|_(?![\p{L}\p{N}])/gu, function (found) {
        return found.replace("_", "\\_");
      });
    }
    text.replace(editor.LIQUID, function (tag, at) {
      out += plain(text.slice(end, at)) + tag;
      end = at + tag.length;
      return "";
    });
    return out + plain(text.slice(end));
  }

  function wrap(text, sign, end) {
    // A sign beside a space would be read as itself.
    var parts = /^(\s*)([\s\S]*?)(\s*)$/.exec(text);
    return parts[2] ? parts[1] + sign + parts[2] + (end || sign) + parts[3] : text;
  }

  function writePiece(piece) {
    var attributes = piece.attributes;
    var insert = piece.insert;
    var text;
    if (typeof insert === "string") text = escape(insert);
    else if (insert.placeholder) text = insert.placeholder;
    else if (insert.softbreak) return "\n";
    else text = "![" + (attributes.alt || "").replace(/[[\]]/g, "") + "](" + insert.image + ")";
    if (attributes.strike) text = wrap(text, "~~");
    if (attributes.underline) text = wrap(text, "<u>", "</u>");
    if (attributes.italic) text = wrap(text, "*");
    if (attributes.bold) text = wrap(text, "**");
    return text;
  }

  function writeInline(pieces) {
    var out = "";
    var at = 0;
    while (at < pieces.length) {
      var target = pieces[at].attributes.button || pieces[at].attributes.link;
      var text = "";
      var from = at;
      while (at < pieces.length && (pieces[at].attributes.button || pieces[at].attributes.link) === target) text += writePiece(pieces[at++]);
      out += target && from < at ? wrap(text, "[", "](" + target + ")") : text;
    }
    return out;
  }

  function writeLine(line) {
    var attributes = line.attributes;
    if (line.divider) return "---";
    var text = writeInline(line.pieces);
    if (attributes.header) return "#".repeat(attributes.header) + " " + text.replace(/\n/g, " ");
    if (attributes.list) return "   ".repeat(attributes.indent || 0) + (attributes.list === "ordered" ? "1. " : "- ") + text.replace(/\n/g, "\n   ");
    if (attributes.blockquote) return "> " + text.replace(/\n/g, "\n> ");
    return text.replace(/^(\s*)([#>+-]|\d+[.)])(?=\s)/gm, function (all, space, sign) {
      return space + (/\d/.test(sign) ? sign.slice(0, -1) + "\\" + sign.slice(-1) : "\\" + sign);
    });
  }

  editor.writeMarkdown = function (delta) {
    var out = "";
    var before = null;
    editor.readLines(delta.ops).forEach(function (line) {
      var isSame = before && before.attributes.list && line.attributes.list;
      var text = writeLine(line);
      if (text.trim() || line.divider) {
        out += (before ? (isSame ? "\n" : "\n\n") : "") + text;
        before = line;
      }
    });
    return out + "\n";
  };
})();
