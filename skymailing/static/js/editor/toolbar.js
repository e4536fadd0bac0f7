// The toolbar for formatted text: in writing mode, and in the text of a block.
import { ask } from "./dialogs.js";
import { form } from "./form.js";
import { findPlace, getQuill } from "./open-text.js";

const TOGGLES = ["bold", "italic", "underline", "strike"];
const ALIGNMENTS = ["center", "right"];
const tools = form.querySelector(".tools");
const style = tools.querySelector('[data-tool="style"]');

function completeAddress(address) {
  if (/^([a-z]+:|\{\{|#|\/)/i.test(address)) return address;
  return (address.indexOf("@") > 0 ? "mailto:" : "https://") + address;
}

// Ask for the text and the URL of a link or a button.
async function askLink(quill, name) {
  const dialog = `ask-${name}`;
  let range = findPlace();
  const current = quill.getFormat(range)[name];
  const url = typeof current === "string" ? current : "";
  if (!range.length && url) {
    const [leaf] = quill.getLeaf(range.index);
    range = { index: quill.getIndex(leaf), length: leaf.length() };
  }
  const text = quill.getText(range.index, range.length).trim();
  document.querySelector(`#${dialog} [data-remove]`).hidden = !url;
  const answers = await ask(dialog, { text, url });
  if (!answers) return;
  if (answers.choice === "remove" || !answers.url.trim()) {
    quill.formatText(range.index, range.length, { link: false, button: false }, "user");
    return;
  }
  const target = completeAddress(answers.url.trim());
  const label = answers.text.trim() || target;
  if (label !== text) {
    quill.deleteText(range.index, range.length, "user");
    quill.insertText(range.index, label, "user");
    range.length = label.length;
  }
  quill.formatText(range.index, range.length, { link: false, button: false, [name]: target }, "user");
  quill.setSelection(range.index + range.length, "user");
  quill.format(name, false, "user");
}

function insertDivider(quill) {
  const index = findPlace().index;
  quill.insertEmbed(index, "divider", true, "user");
  quill.setSelection(index + 1, "user");
}

function useTool(tool) {
  const quill = getQuill();
  if (!quill || tool === "picture") return;
  const range = findPlace();
  const format = quill.getFormat(range);
  if (TOGGLES.includes(tool)) quill.format(tool, !format[tool], "user");
  else if (tool === "bullet" || tool === "ordered") quill.format("list", format.list === tool ? false : tool, "user");
  else if (ALIGNMENTS.includes(tool)) quill.format("align", format.align === tool ? false : tool, "user");
  else if (tool === "link" || tool === "button") askLink(quill, tool);
  else if (tool === "undo") quill.history.undo();
  else if (tool === "redo") quill.history.redo();
  else if (tool === "divider") insertDivider(quill);
  else if (tool === "clear") quill.removeFormat(range.index, range.length, "user");
}

function setStyle(value) {
  const quill = getQuill();
  findPlace();
  quill.format("blockquote", value === "quote", "user");
  quill.format("header", Number(value) || false, "user");
}

// Set the size or colour of the selected text; an empty value resets it.
function setFormat({ dataset: { tool }, value }) {
  if (!getQuill()) return;
  findPlace();
  getQuill().format(tool, value || false, "user");
}

// Mark the buttons of the selection's formats as pressed.
export function showTools(quill) {
  const range = quill.getSelection();
  if (!range) return;
  const format = quill.getFormat(range);
  const pressed = {
    bold: format.bold,
    italic: format.italic,
    underline: format.underline,
    strike: format.strike,
    right: format.align === "right",
    bullet: format.list === "bullet",
    ordered: format.list === "ordered",
    center: format.align === "center",
    link: format.link,
    button: format.button,
  };
  for (const [name, isOn] of Object.entries(pressed)) {
    const button = tools.querySelector(`[data-tool="${name}"]`);
    if (button) button.setAttribute("aria-pressed", String(Boolean(isOn)));
  }
  const size = tools.querySelector('[data-tool="size"]');
  if (size) size.value = format.size || "";
  style.value = format.blockquote ? "quote" : String(format.header || "");
}

export function startToolbar() {
  tools.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-tool]");
    if (button) useTool(button.dataset.tool);
  });
  style?.addEventListener("change", () => setStyle(style.value));
  for (const field of tools.querySelectorAll('[data-tool="size"], [data-tool="color"]')) {
    field.addEventListener("change", () => setFormat(field));
  }
}
