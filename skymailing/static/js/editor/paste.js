// What is pasted, tamed before Quill reads it: word processors send styles, which our policy forbids and
// letters do not need; what they mean by them, bold or italic, is kept.
(function () {
  "use strict";
  var editor = window.letterEditor;
  var Clipboard = Quill.import("modules/clipboard");

  function wrap(node, name) {
    var inner = node.ownerDocument.createElement(name);
    while (node.firstChild) inner.appendChild(node.firstChild);
    node.appendChild(inner);
  }

  function tame(html) {
    var body = editor.parse(html);
    body.querySelectorAll("x-style, x-script, x-svg, meta, link, title, base, template").forEach(function (node) {
      node.remove();
    });
    body.querySelectorAll("[data-css]").forEach(function (node) {
      var css = node.getAttribute("data-css").toLowerCase().replace(/\s+/g, "");
      node.removeAttribute("data-css");
      // Google's editor puts all that it copies into a <b> that is not bold.
      if (/^(b|strong)$/i.test(node.nodeName) && css.indexOf("font-weight:normal") >= 0) node.replaceWith.apply(node, Array.from(node.childNodes));
      else if (/font-weight:(bold|[6-9]00)/.test(css)) wrap(node, "strong");
      if (css.indexOf("font-style:italic") >= 0) wrap(node, "em");
      if (/text-decoration[a-z-]*:[a-z]*underline/.test(css) && node.nodeName !== "A") wrap(node, "u");
    });
    return body.innerHTML;
  }

  class TameClipboard extends Clipboard {
    convertHTML(html) {
      return super.convertHTML(tame(html));
    }
    onCapturePaste(event) {
      // A picture comes with a line of HTML about it, which Quill would read as it is.
      var html = event.clipboardData && event.clipboardData.getData("text/html");
      var files = event.clipboardData ? Array.from(event.clipboardData.files) : [];
      if (!html || !files.length || event.defaultPrevented) return super.onCapturePaste(event);
      event.preventDefault();
      var range = this.quill.getSelection(true);
      if (tame(html).replace(/<img\b[^>]*>|<!--[\s\S]*?-->|\s/gi, "")) return this.onPaste(range, { html: html, text: event.clipboardData.getData("text/plain") });
      return this.quill.uploader.upload(range, files);
    }
  }

  Quill.register({ "modules/clipboard": TameClipboard }, true);
})();
