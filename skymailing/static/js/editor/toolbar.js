// The toolbar of writing mode.
import { ask } from "./dialogs.js";
import { form } from "./form.js";
import { choosePicture } from "./pictures.js";
import { findPlace, getWriting } from "./writing.js";

const TOGGLES = ["bold", "italic", "underline"];
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
  if (tool === "picture") return choosePicture();
  const quill = getWriting();
  if (!quill) return;
  const range = findPlace();
  const format = quill.getFormat(range);
  if (TOGGLES.includes(tool)) quill.format(tool, !format[tool], "user");
  else if (tool === "bullet" || tool === "ordered") quill.format("list", format.list === tool ? false : tool, "user");
  else if (tool === "center") quill.format("align", format.align === "center" ? false : "center", "user");
  else if (tool === "link" || tool === "button") askLink(quill, tool);
  else if (tool === "undo") quill.history.undo();
  else if (tool === "redo") quill.history.redo();
  else if (tool === "divider") insertDivider(quill);
  else if (tool === "clear") quill.removeFormat(range.index, range.length, "user");
}

function setStyle(value) {
  const quill = getWriting();
  findPlace();
  quill.format("blockquote", value === "quote", "user");
  quill.format("header", Number(value) || false, "user");
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
    bullet: format.list === "bullet",
    ordered: format.list === "ordered",
    center: format.align === "center",
    link: format.link,
    button: format.button,
  };
  for (const [name, isOn] of Object.entries(pressed)) {
    tools.querySelector(`[data-tool="${name}"]`).setAttribute("aria-pressed", String(Boolean(isOn)));
  }
  style.value = format.blockquote ? "quote" : String(format.header || "");
}

export function startToolbar() {
  tools.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-tool]");
    if (button) useTool(button.dataset.tool);
  });
  style.addEventListener("change", () => setStyle(style.value));
}
