// Show the HTML of a code block as readers will see it: in a sandboxed frame without scripts, which inherits this
// page's policy. That policy forbids style attributes in markup, so styles are set one by one.
import { displayUrl, LIQUID } from "./letter-text.js";
import { parseInert } from "./page.js";

const UNSAFE = "x-script, script, iframe, object, embed, link, meta, base, form";

function clean(root) {
  for (const node of root.querySelectorAll(UNSAFE)) node.remove();
  for (const node of root.querySelectorAll("*")) {
    if (node.hasAttribute("data-css")) node.style.cssText = node.getAttribute("data-css");
    for (const { name } of [...node.attributes]) {
      if (name.startsWith("data-") || name.startsWith("on")) node.removeAttribute(name);
    }
    if (node.hasAttribute("src")) node.setAttribute("src", displayUrl(node.getAttribute("src")));
  }
}

export function fillFrame(frame, html) {
  const page = frame.contentDocument;
  if (!page) return;
  // Placeholders stay visible; statements show nothing.
  const body = parseInert(html.replace(LIQUID, (tag) => (tag.startsWith("{%") ? "" : tag)));
  const sheets = [...body.querySelectorAll("x-style")].map((style) => {
    const sheet = new frame.contentWindow.CSSStyleSheet();
    sheet.replaceSync(style.textContent);
    style.remove();
    return sheet;
  });
  clean(body);
  page.adoptedStyleSheets = sheets;
  page.body.style.cssText = "margin:0;overflow:hidden;overflow-wrap:break-word;font:16px/1.5 sans-serif";
  page.body.replaceChildren(...[...body.childNodes].map((node) => page.importNode(node, true)));
  const fit = () => {
    frame.style.height = `${Math.max(page.body.scrollHeight, 24)}px`;
  };
  for (const picture of page.images) picture.addEventListener("load", fit);
  fit();
}
