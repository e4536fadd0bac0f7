// The formatted text that is open, into which the toolbar and the menus write. Pages without such a text need no Quill.
let active = null;
let handlers = {};

// Make a field the one that the toolbar and the menus write into; null if none is open.
export function setQuill(quill) {
  active = quill;
}

export function getQuill() {
  return active;
}

// Return the selection, including one made before a dialog was opened; otherwise the end of the text.
export function findPlace() {
  active.focus();
  return active.getSelection() || { index: active.getLength() - 1, length: 0 };
}

// Writing mode calls `onSelection` when the cursor moves, and `onFiles` with pasted files.
export function handleText(given) {
  handlers = given;
}

export function announceSelection(quill) {
  if (handlers.onSelection) handlers.onSelection(quill);
}

export function announceFiles(files) {
  if (handlers.onFiles) handlers.onFiles(files);
}
