// What was written, as the plain HTML that mail programs like.
(function () {
  "use strict";
  var editor = window.letterEditor;
  var TAGS = { bold: "strong", italic: "em", underline: "u", strike: "s" };

  function escapeAround(text, escape) {
    // Liquid tags are no HTML: a > or a quotation mark in one stays what it is.
    var end = 0;
    var out = "";
    text.replace(editor.LIQUID, function (tag, at) {
      out += escape(text.slice(end, at)) + tag;
      end = at + tag.length;
      return "";
    });
    return out + escape(text.slice(end));
  }

  function escapeText(text) {
    return escapeAround(text, function (part) {
      return part.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;").replace(/\u00a0/g, "&nbsp;");
    });
  }

  function escapeValue(text) {
    return escapeAround(String(text), function (part) {
      return part.replace(/&/g, "&amp;").replace(/"/g, "&quot;").replace(/</g, "&lt;");
    });
  }

  // The elements around a piece of text, the outermost first.
  function wrappers(attributes) {
    var list = [];
    if (attributes.button) list.push(['<a class="button" href="' + escapeValue(attributes.button) + '">', "</a>"]);
    else if (attributes.link) list.push(['<a href="' + escapeValue(attributes.link) + '">', "</a>"]);
    Object.keys(TAGS).forEach(function (name) {
      if (attributes[name]) list.push(["<" + TAGS[name] + ">", "</" + TAGS[name] + ">"]);
    });
    return list;
  }

  function writeEmbed(insert, attributes) {
    if (insert.placeholder) return insert.placeholder;
    if (insert.softbreak) return "<br>";
    if (!insert.image) return "";
    var text = '<img src="' + escapeValue(insert.image) + '" alt="' + escapeValue(attributes.alt || "") + '"';
    if (attributes.width) text += ' width="' + escapeValue(attributes.width) + '"';
    if (attributes.height) text += ' height="' + escapeValue(attributes.height) + '"';
    return text + ">";
  }

  function writeInline(pieces) {
    var open = [];
    var out = "";
    pieces.forEach(function (piece) {
      var wanted = wrappers(piece.attributes);
      var same = 0;
      while (same < open.length && same < wanted.length && open[same][0] === wanted[same][0]) same++;
      while (open.length > same) out += open.pop()[1];
      wanted.slice(same).forEach(function (wrapper) {
        out += wrapper[0];
        open.push(wrapper);
      });
      out += typeof piece.insert === "string" ? escapeText(piece.insert) : writeEmbed(piece.insert, piece.attributes);
    });
    while (open.length) out += open.pop()[1];
    return out;
  }

  function readLines(ops) {
    var lines = [];
    var pieces = [];
    ops.forEach(function (op) {
      var attributes = op.attributes || {};
      if (typeof op.insert !== "string") {
        if (op.insert.divider) lines.push({ divider: true, pieces: [], attributes: {} });
        else pieces.push({ insert: op.insert, attributes: attributes });
        return;
      }
      op.insert.split("\n").forEach(function (part, place, parts) {
        if (part) pieces.push({ insert: part, attributes: attributes });
        if (place < parts.length - 1) {
          lines.push({ pieces: pieces, attributes: attributes });
          pieces = [];
        }
      });
    });
    return lines;
  }

  function isStatement(line) {
    return line.pieces.length > 0 && line.pieces.every(function (piece) {
      if (typeof piece.insert === "string") return !piece.insert.trim();
      return piece.insert.placeholder && piece.insert.placeholder.charAt(1) === "%";
    });
  }

  function writeBlock(line) {
    if (line.divider) return "<hr>";
    var attributes = line.attributes;
    var text = writeInline(line.pieces);
    if (isStatement(line)) return text;
    var name = attributes.header ? "h" + attributes.header : attributes.blockquote ? "blockquote" : "p";
    var place = attributes.align === "center" || attributes.align === "right" ? ' class="' + attributes.align + '"' : "";
    return "<" + name + place + ">" + (text || "<br>") + "</" + name + ">";
  }

  // Lines of a list, deeper ones inside the item before them.
  function writeList(lines, from, depth) {
    var out = "";
    var at = from;
    var kind = null;
    while (at < lines.length && lines[at].attributes.list && (lines[at].attributes.indent || 0) >= depth) {
      var name = lines[at].attributes.list === "ordered" ? "ol" : "ul";
      if ((lines[at].attributes.indent || 0) > depth && kind) {
        var inner = writeList(lines, at, depth + 1);
        out = out.replace(/<\/li>\n$/, "\n" + inner.text + "</li>\n");
        at = inner.at;
        continue;
      }
      if (kind !== name) {
        out += (kind ? "</" + kind + ">\n" : "") + "<" + name + ">\n";
        kind = name;
      }
      out += "<li>" + writeInline(lines[at].pieces) + "</li>\n";
      at++;
    }
    return { text: out + "</" + kind + ">\n", at: at };
  }

  editor.readLines = readLines;

  editor.write = function (delta) {
    var lines = readLines(delta.ops);
    var out = "";
    var at = 0;
    while (at < lines.length) {
      if (lines[at].attributes.list) {
        var list = writeList(lines, at, 0);
        out += list.text;
        at = list.at;
      } else {
        out += writeBlock(lines[at]) + "\n";
        at++;
      }
    }
    return out;
  };
})();
