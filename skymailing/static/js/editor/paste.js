// Clean pasted HTML before Quill reads it. Word processors add styles, which the Content-Security-Policy
// forbids and messages do not need; bold, italic and underlined text is kept.
import { parseInert } from "./page.js";

const Quill = window.Quill;
const Clipboard = Quill.import("modules/clipboard");

function wrapContent(node, name) {
  const inner = node.ownerDocument.createElement(name);
  inner.append(...node.childNodes);
  node.append(inner);
}

function cleanPasted(html) {
  const page = parseInert(html);
  page.querySelectorAll("x-style, x-script, x-svg, meta, link, title, base, template").forEach((node) => node.remove());
  page.querySelectorAll("[data-css]").forEach((node) => {
    const css = node.getAttribute("data-css").toLowerCase().replace(/\s+/g, "");
    node.removeAttribute("data-css");
    // Google Docs wraps everything that it copies in a <b> that is not bold.
    if (/^(b|strong)$/i.test(node.nodeName) && css.includes("font-weight:normal")) node.replaceWith(...node.childNodes);
    else if (/font-weight:(bold|[6-9]00)/.test(css)) wrapContent(node, "strong");
    if (css.includes("font-style:italic")) wrapContent(node, "em");
    if (/text-decoration[a-z-]*:[a-z]*underline/.test(css) && node.nodeName !== "A") wrapContent(node, "u");
  });
  return page.innerHTML;
}

class CleanClipboard extends Clipboard {
  convertHTML(html) {
    return super.convertHTML(cleanPasted(html));
  }

  onCapturePaste(event) {
    // The clipboard also contains a copied picture as HTML, which Quill would read instead of the file.
    const html = event.clipboardData && event.clipboardData.getData("text/html");
    const files = event.clipboardData ? [...event.clipboardData.files] : [];
    if (!html || !files.length || event.defaultPrevented) return super.onCapturePaste(event);
    event.preventDefault();
    const range = this.quill.getSelection(true);
    const hasText = cleanPasted(html).replace(/<img\b[^>]*>|<!--[\s\S]*?-->|\s/gi, "");
    if (hasText) return this.onPaste(range, { html, text: event.clipboardData.getData("text/plain") });
    return this.quill.uploader.upload(range, files);
  }
}

Quill.register({ "modules/clipboard": CleanClipboard }, true);
