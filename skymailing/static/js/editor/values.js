// The menu of client data: insert a placeholder at the cursor, in the subject or in the text.
import { nameValues } from "./blots.js";
import { body, form, insertIntoField, mode, subject, texts } from "./form.js";
import { findPlace, getWriting } from "./writing.js";

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
  if (mode === "html") return `<a href="${url}">${words}</a>`;
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

function insert(text, words) {
  if (lastField === subject || mode !== "writing") {
    if (lastField === subject) insertIntoField(subject, text);
    else insertIntoField(body, words ? writeLink(text, words) : text);
    return;
  }
  const quill = getWriting();
  if (words) {
    insertLink(quill, text, words);
    return;
  }
  const range = findPlace();
  quill.deleteText(range.index, range.length, "user");
  quill.insertEmbed(range.index, "placeholder", text, "user");
  quill.setSelection(range.index + 1, "user");
}

export function startValues() {
  const menu = form.querySelector(".values");
  const fallback = menu.querySelector("#values-default");
  const target = menu.querySelector(".values-target");
  const buttons = [...menu.querySelectorAll("[data-value]")];
  nameValues(buttons.map((button) => ({
    text: button.dataset.value,
    label: button.querySelector("strong").textContent,
  })));
  form.addEventListener("focusin", ({ target: field }) => {
    if (field === subject || field === body || field.closest(".ql-editor")) lastField = field;
  });
  menu.addEventListener("toggle", () => {
    target.textContent = lastField === subject ? texts.intoSubject : texts.intoText;
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
