// The menu of client data: insert a placeholder at the cursor, in a field or in formatted text.
import { body, form, insertIntoField, mode, subject, texts } from "./form.js";
import { findPlace, getQuill } from "./open-text.js";

const menu = form.querySelector(".values");
let lastField = null; // the field in which the author typed last

function withDefault(tag, fallback) {
  if (!fallback) return tag;
  // Liquid has no escapes inside quotation marks.
  const quote = fallback.includes('"') ? "'" : '"';
  const text = fallback.replaceAll(quote, "").replace(/[{}%]/g, "");
  return tag.replace(/\s*\}\}$/, ` | default: ${quote}${text}${quote} }}`);
}

// A URL is long and says nothing, so insert a link with words into the text.
function writeLink(url, words) {
  if (mode === "markdown") return `[${words}](${url})`;
  if (mode === "html" || mode === "mjml") return `<a href="${url}">${words}</a>`;
  return `${words}: ${url}`;
}

function insertLink(quill, url, words) {
  const range = findPlace();
  if (!range.length) quill.insertText(range.index, words, "user");
  const length = range.length || words.length;
  quill.formatText(range.index, length, { button: false, link: url }, "user");
  quill.setSelection(range.index + length, "user");
  quill.format("link", false, "user");
}

function insertIntoText(quill, text, words) {
  if (words) return insertLink(quill, text, words);
  const range = findPlace();
  quill.deleteText(range.index, range.length, "user");
  quill.insertEmbed(range.index, "placeholder", text, "user");
  quill.setSelection(range.index + 1, "user");
}

// The block field used last, if still on the page.
function findBlockField() {
  return lastField && lastField.isConnected && lastField.matches("[data-values]") ? lastField : null;
}

function insert(text, words) {
  const quill = mode === "writing" || mode === "blocks" ? getQuill() : null;
  if (lastField === subject) insertIntoField(subject, text);
  else if (findBlockField()) insertIntoField(lastField, text);
  else if (quill) insertIntoText(quill, text, words);
  else if (mode === "blocks") insertIntoField(subject, text);
  else insertIntoField(body, words ? writeLink(text, words) : text);
}

function nameTarget() {
  const isSubject = lastField === subject || (mode === "blocks" && !findBlockField() && !getQuill());
  if (isSubject) return texts.intoSubject;
  const field = findBlockField();
  return field ? texts.intoField.replace("{field}", field.labels[0].firstChild.textContent.trim()) : texts.intoText;
}

// Open the menu for a field.
export function offerValues(field) {
  lastField = field;
  menu.open = true;
  menu.querySelector("summary").focus();
}

// Forget the last field, because a formatted text was opened.
export function useText() {
  lastField = null;
}

export function startValues() {
  const fallback = menu.querySelector("#values-default");
  const target = menu.querySelector(".values-target");
  form.addEventListener("focusin", ({ target: field }) => {
    const isText = field === subject || field === body || field.closest(".ql-editor, [data-values]");
    if (isText) lastField = field;
  });
  menu.addEventListener("toggle", () => {
    target.textContent = nameTarget();
  });
  menu.addEventListener("click", (event) => {
    const button = event.target.closest("[data-value]");
    if (!button) return;
    menu.open = false;
    const words = JSON.parse(button.dataset.words || "{}")[form.elements.language.value];
    insert(withDefault(button.dataset.value, "mayBeMissing" in button.dataset ? fallback.value.trim() : ""), words);
    fallback.value = "";
  });
  fallback.addEventListener("keydown", (event) => {
    if (event.key === "Enter") event.preventDefault(); // otherwise the form is saved
  });
}
