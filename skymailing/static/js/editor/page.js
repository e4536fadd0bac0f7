// A letter's HTML as a page around a text. Writing mode edits the text alone; the page stays byte for byte.
// Liquid tags go through it as words, and whether all of the text came through is found by comparing.
(function () {
  "use strict";
  var editor = (window.letterEditor = {});
  var BEGIN = "<!-- text begins -->";
  var END = "<!-- text ends -->";
  var SAME = { b: "strong", i: "em", del: "s", strike: "s" };
  var INLINE = ["a", "b", "i", "u", "s", "strong", "em", "del", "strike", "img", "br", "span", "code", "small", "sub", "sup", "font"];

  editor.LIQUID = /\{\{[\s\S]*?\}\}|\{%[\s\S]*?%\}/g;

  // What stands before the text, the text, and what stands after it.
  editor.split = function (html) {
    var begin = html.indexOf(BEGIN);
    var end = html.lastIndexOf(END);
    if (begin >= 0 && end > begin) {
      begin += BEGIN.length;
    } else {
      var open = /<body\b[^>]*>/i.exec(html);
      begin = open ? open.index + open[0].length : 0;
      end = html.toLowerCase().lastIndexOf("</body");
      if (end < begin) end = html.length;
    }
    return { before: html.slice(0, begin), text: html.slice(begin, end), after: html.slice(end) };
  };

  // The text with each Liquid tag replaced by a word: o for an output, s for a statement.
  editor.protect = function (text) {
    var number = 0;
    while (text.indexOf("lq" + number + "x") >= 0) number++;
    var mark = "lq" + number + "x";
    var tags = [];
    var words = text.replace(editor.LIQUID, function (tag) {
      tags.push(tag);
      return mark + (tag.charAt(1) === "{" ? "o" : "s") + (tags.length - 1) + "q";
    });
    var word = new RegExp(mark + "([os])(\\d+)q", "g");
    function restore(string) {
      return string.replace(word, function (_all, _kind, place) {
        return tags[Number(place)];
      });
    }
    return { text: words, word: word, statement: new RegExp("^(\\s*" + mark + "s\\d+q)+\\s*$"), tags: tags, restore: restore };
  };

  // A document of no window: it loads and runs nothing. Styles and scripts are renamed, as our policy would
  // complain of them.
  editor.parse = function (html) {
    html = html.replace(/<[a-zA-Z][^<>]*>/g, function (tag) {
      return tag.replace(/\sstyle(?=\s*=)/gi, " data-css").replace(/\son[a-z]+(?=\s*=)/gi, " data-act");
    });
    html = html.replace(/<(style|script|svg)\b/gi, "<x-$1").replace(/<\/(style|script|svg)\b/gi, "</x-$1");
    return new DOMParser().parseFromString("<body>" + html, "text/html").body;
  };

  function nameOf(node) {
    var name = node.nodeName.toLowerCase();
    return SAME[name] || name;
  }

  function attributesOf(node, name) {
    var kept = [];
    Array.prototype.forEach.call(node.attributes, function (attribute) {
      if (name === "a" && (attribute.name === "target" || attribute.name === "rel")) return;
      if (attribute.name === "class" && !attribute.value.trim()) return;
      kept.push(" " + attribute.name + "=" + attribute.value.trim());
    });
    return kept.sort().join("");
  }

  function isInline(node) {
    return node.nodeType === Node.TEXT_NODE || (node.nodeType === Node.ELEMENT_NODE && INLINE.indexOf(node.nodeName.toLowerCase()) >= 0);
  }

  // One way to write what is the same to a reader.
  editor.canonical = function (html) {
    var shield = editor.protect(html);
    var root = editor.parse(shield.text);

    function inside(node) {
      return Array.prototype.map.call(node.childNodes, write).join("");
    }

    function write(node) {
      if (node.nodeType === Node.TEXT_NODE) return node.data.replace(/[ \t\r\n]+/g, " ").replace(/</g, "&lt;");
      if (node.nodeType !== Node.ELEMENT_NODE) return "<!--" + node.data + "-->";
      var name = nameOf(node);
      if (name === "br") return "<br>";
      var text = inside(node);
      if (!isInline(node)) text = text.replace(/^ +| +$/g, "").replace(/ *<br> */g, "<br>");
      var parent = node.parentNode && nameOf(node.parentNode);
      var attributes = attributesOf(node, name);
      if (name === "p" && !attributes && (parent === "li" || parent === "blockquote")) return text;
      if (name === "p" && shield.statement.test(text)) return text;
      if (/^(strong|em|u|s)$/.test(name) && !attributes && !text.trim()) return text;
      return "<" + name + attributes + ">" + text + "</" + name + ">";
    }

    var blocks = [];
    var line = "";
    function endLine() {
      var text = line.trim();
      if (text) blocks.push(shield.statement.test(text) ? text : "<p>" + text + "</p>");
      line = "";
    }
    Array.prototype.forEach.call(root.childNodes, function (node) {
      if (isInline(node)) {
        line += write(node);
        return;
      }
      endLine();
      blocks.push(write(node));
    });
    endLine();
    // Where one element of a kind ends and the next begins is nothing that a reader sees.
    var text = blocks.join("").replace(/> +</g, "><").replace(/<\/(strong|em|u|s)><\1>/g, "").replace(/(<br>)+<\/p>/g, function (all) {
      return all === "<br></p>" ? "</p>" : all;
    });
    return shield.restore(text);
  };

  // What of a text writing mode cannot hold, in words for its author.
  editor.describeLoss = function (html, words) {
    var shield = editor.protect(html);
    var root = editor.parse(shield.text);
    var known = "p h1 h2 h3 ul ol li a img br hr strong em u s b i del strike blockquote".split(" ");
    var found = {};
    var others = {};
    Array.prototype.forEach.call(root.querySelectorAll("*"), function (node) {
      var name = node.nodeName.toLowerCase();
      if (/^(table|tbody|thead|tfoot|tr|td|th)$/.test(name)) found[words.lostTables] = true;
      else if (known.indexOf(name) < 0) others["<" + name.replace("x-", "") + ">"] = true;
      Array.prototype.forEach.call(node.attributes, function (attribute) {
        if (shield.word.test(attribute.name)) found[words.lostTags] = true;
        shield.word.lastIndex = 0;
        if (/^(data-css|class|align|bgcolor|color)$/.test(attribute.name) && !/^(button|center|right)$/.test(attribute.value)) found[words.lostStyles] = true;
      });
    });
    if (/<!--/.test(shield.text)) found[words.lostComments] = true;
    var list = Object.keys(found);
    if (Object.keys(others).length) list.push(words.lostElements.replace("{names}", Object.keys(others).slice(0, 6).join(", ")));
    return list.length ? list : [words.lostOther];
  };
})();
