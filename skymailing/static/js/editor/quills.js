// Text fields with formatting (Quill).
import "./blots.js";
import "./paste.js";
import { LIQUID } from "./letter-text.js";

const Quill = window.Quill;
const Delta = Quill.import("delta");
const PICTURES = ["image/png", "image/jpeg", "image/webp"];

const leaveField = () => true;

// Create a text field. `matchers` read pasted HTML, `onType` is called after the author has changed the text,
// `onSelection` when the cursor moves, and `onFiles` with pasted files.
export function createQuill(node, { formats, label, matchers = [], placeholder = "", onType, onSelection, onFiles }) {
  const quill = new Quill(node, {
    formats,
    placeholder,
    modules: {
      toolbar: false,
      history: { userOnly: true },
      clipboard: { matchers },
      keyboard: {
        bindings: {
          // Outside lists, Tab moves to the next field: the text must not be a keyboard trap.
          tab: { key: "Tab", handler: leaveField },
          "remove tab": { key: "Tab", shiftKey: true, handler: leaveField },
          softbreak: {
            key: "Enter",
            shiftKey: true,
            handler: (range) => {
              quill.insertEmbed(range.index, "softbreak", true, "user");
              quill.setSelection(range.index + 1, "silent");
              return false;
            },
          },
        },
      },
      uploader: { mimetypes: PICTURES, handler: (_range, files) => onFiles(files) },
    },
  });
  for (const [name, value] of [["aria-label", label], ["role", "textbox"], ["aria-multiline", "true"], ["spellcheck", "true"]]) {
    quill.root.setAttribute(name, value);
  }
  quill.on("text-change", (change, _before, source) => {
    if (source !== "user") return;
    if (JSON.stringify(change.ops).includes("}")) replaceTypedTags(quill);
    onType(quill);
  });
  quill.on("editor-change", () => onSelection(quill));
  letChipsBeSelected(quill);
  return quill;
}

// A click selects a chip, since text typed inside it would be lost. Delete removes the selected chip;
// typed text is inserted after it.
function letChipsBeSelected(quill) {
  const placeOf = (node) => {
    const chip = node && node.closest(".chip");
    return chip ? quill.getIndex(Quill.find(chip)) : -1;
  };
  const isAlone = (range) => range && range.length === 1 && Boolean(quill.getContents(range.index, 1).ops[0].insert.placeholder);
  quill.root.addEventListener("mousedown", (event) => {
    const index = placeOf(event.target);
    if (index < 0 || event.button) return;
    event.preventDefault();
    quill.focus({ preventScroll: true });
    quill.setSelection(index, 1, "user");
  });
  quill.root.addEventListener("keydown", (event) => {
    const range = quill.getSelection();
    const isText = event.key.length === 1 || event.key === "Process";
    if (isText && !event.ctrlKey && !event.metaKey && isAlone(range)) quill.setSelection(range.index + 1, "user");
  }, { capture: true });
}

// Turn typed placeholders into chips, like the placeholders inserted from the menu.
function replaceTypedTags(quill) {
  const change = new Delta();
  let isChanged = false;
  for (const op of quill.getContents().ops) {
    if (typeof op.insert !== "string") {
      change.retain(1);
      continue;
    }
    let end = 0;
    for (const { 0: tag, index } of op.insert.matchAll(LIQUID)) {
      if (tag.includes("\n")) continue;
      change.retain(index - end).delete(tag.length).insert({ placeholder: tag }, op.attributes);
      end = index + tag.length;
      isChanged = true;
    }
    change.retain(op.insert.length - end);
  }
  if (isChanged) quill.updateContents(change, "silent");
}
