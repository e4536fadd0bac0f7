// Treat a message's HTML as a page around its text. Writing mode edits only the text; the page does not change.
// Liquid tags are replaced with words. Comparing the text before and after shows whether anything would be lost.
import { LIQUID } from "./letter-text.js";

const START = "<!-- text begins -->";
const END = "<!-- text ends -->";
const SYNONYMS = { b: "strong", i: "em", del: "s", strike: "s" };
const INLINE = ["a", "b", "i", "u", "s", "strong", "em", "del", "strike", "img", "br", "span", "code", "small", "sub", "sup", "font"];
const SUPPORTED = ["p", "h1", "h2", "h3", "ul", "ol", "li", "a", "img", "br", "hr", "strong", "em", "u", "s", "b", "i", "del", "strike", "blockquote"];
const NAMES_SHOWN = 6;

// Split HTML into the text and the parts before and after it.
export function splitPage(html) {
  let start = html.indexOf(START);
  let end = html.lastIndexOf(END);
  if (start >= 0 && end > start) {
    start += START.length;
  } else {
    const open = /<body\b[^>]*>/i.exec(html);
    start = open ? open.index + open[0].length : 0;
    end = html.toLowerCase().lastIndexOf("</body");
    if (end < start) end = html.length;
  }
  return { before: html.slice(0, start), text: html.slice(start, end), after: html.slice(end) };
}

// Replace each Liquid tag with a word that no parser changes: "o" marks an output, "s" a statement.
export function maskLiquid(text) {
  let number = 0;
  while (text.includes(`lq${number}x`)) number++;
  const mark = `lq${number}x`;
  const tags = [];
  const masked = text.replace(LIQUID, (tag) => {
    tags.push(tag);
    return `${mark}${tag.charAt(1) === "{" ? "o" : "s"}${tags.length - 1}q`;
  });
  const word = new RegExp(`${mark}([os])(\\d+)q`, "g");
  return {
    text: masked,
    tags,
    word,
    statements: new RegExp(`^(\\s*${mark}s\\d+q)+\\s*$`),
    restore: (string) => string.replace(word, (_all, _kind, place) => tags[Number(place)]),
  };
}

// Parse HTML in a document without a window: it loads and runs nothing. Styles, handlers and scripts are
// renamed first, because the Content-Security-Policy would report them.
export function parseInert(html) {
  const renamed = html
    .replace(/<[a-zA-Z][^<>]*>/g, (tag) => (
      tag.replace(/\sstyle(?=\s*=)/gi, " data-css").replace(/\son[a-z]+(?=\s*=)/gi, " data-act")
    ))
    .replace(/<(style|script|svg)\b/gi, "<x-$1")
    .replace(/<\/(style|script|svg)\b/gi, "</x-$1");
  return new DOMParser().parseFromString(`<body>${renamed}`, "text/html").body;
}

function nameOf(node) {
  const name = node.nodeName.toLowerCase();
  return SYNONYMS[name] || name;
}

function writeAttributes(node, name) {
  const kept = [];
  for (const attribute of node.attributes) {
    if (name === "a" && (attribute.name === "target" || attribute.name === "rel")) continue;
    if (attribute.name === "class" && !attribute.value.trim()) continue;
    kept.push(` ${attribute.name}=${attribute.value.trim()}`);
  }
  return kept.sort().join("");
}

function isInline(node) {
  if (node.nodeType === Node.TEXT_NODE) return true;
  return node.nodeType === Node.ELEMENT_NODE && INLINE.includes(node.nodeName.toLowerCase());
}

function writeNode(node, masked) {
  if (node.nodeType === Node.TEXT_NODE) return node.data.replace(/[ \t\r\n]+/g, " ").replace(/</g, "&lt;");
  if (node.nodeType !== Node.ELEMENT_NODE) return `<!--${node.data}-->`;
  const name = nameOf(node);
  if (name === "br") return "<br>";
  let text = Array.from(node.childNodes, (child) => writeNode(child, masked)).join("");
  if (!isInline(node)) text = text.replace(/^ +| +$/g, "").replace(/ *<br> */g, "<br>");
  const parent = node.parentNode && nameOf(node.parentNode);
  const attributes = writeAttributes(node, name);
  if (name === "p" && !attributes && (parent === "li" || parent === "blockquote")) return text;
  if (name === "p" && masked.statements.test(text)) return text;
  if (/^(strong|em|u|s)$/.test(name) && !attributes && !text.trim()) return text;
  return `<${name}${attributes}>${text}</${name}>`;
}

// Write HTML in a normal form: text that looks the same to a reader gives the same string.
export function normalize(html) {
  const masked = maskLiquid(html);
  const blocks = [];
  let line = "";
  function endLine() {
    const text = line.trim();
    if (text) blocks.push(masked.statements.test(text) ? text : `<p>${text}</p>`);
    line = "";
  }
  for (const node of parseInert(masked.text).childNodes) {
    if (isInline(node)) {
      line += writeNode(node, masked);
    } else {
      endLine();
      blocks.push(writeNode(node, masked));
    }
  }
  endLine();
  // A reader does not see where one element ends and the next of the same kind begins.
  const text = blocks
    .join("")
    .replace(/> +</g, "><")
    .replace(/<\/(strong|em|u|s)><\1>/g, "")
    .replace(/(<br>)+<\/p>/g, (all) => (all === "<br></p>" ? "</p>" : all));
  return masked.restore(text);
}

// Remove empty paragraphs at the end, which other editors add and no reader sees.
export function dropEmptyEnd(html) {
  return html.replace(/(\s*<p(\s[^>]*)?>(\s|&nbsp;|<br\s*\/?>)*<\/p>)+\s*$/i, "\n");
}

// List what writing mode certainly cannot keep, as named in `texts`.
export function findLosses(html, texts) {
  const masked = maskLiquid(html);
  const losses = new Set();
  const elements = new Set();
  const content = parseInert(masked.text);
  for (const node of content.querySelectorAll("*")) {
    const name = node.nodeName.toLowerCase();
    if (/^(table|tbody|thead|tfoot|tr|td|th)$/.test(name)) losses.add(texts.lostTables);
    else if (!SUPPORTED.includes(name)) elements.add(`<${name.replace("x-", "")}>`);
    for (const attribute of node.attributes) {
      if (attribute.name.search(masked.word) >= 0) losses.add(texts.lostTags);
      const isStyle = /^(data-css|class|align|bgcolor|color)$/.test(attribute.name);
      if (isStyle && !/^(button|center|right|)$/.test(attribute.value.trim())) losses.add(texts.lostStyles);
    }
  }
  // Not the characters "<!--", which an attribute may contain; a comment may also follow the body.
  const { ownerDocument } = content;
  if (ownerDocument.createNodeIterator(ownerDocument, NodeFilter.SHOW_COMMENT).nextNode()) losses.add(texts.lostComments);
  if (elements.size) losses.add(texts.lostElements.replace("{names}", [...elements].slice(0, NAMES_SHOWN).join(", ")));
  return [...losses];
}
