// The form that the editor works on, the texts that it shows, and the current mode.
export const form = document.querySelector("[data-editor]");
export const subject = form.elements.subject || form.elements.title;
// What the author edits: the body, or the source from which the server composes it.
export const body = form.elements.body || form.elements.source;
export const texts = JSON.parse(form.dataset.texts);

// "writing", "markdown", "html" or "text"; with a source, "blocks" or "mjml". Writing mode is another way to
// edit HTML.
export let mode = "";

export function setMode(name) {
  mode = name;
}

export function formatOf(name) {
  return name === "writing" ? "html" : name;
}

export function csrfToken() {
  const field = form.elements.csrf_token;
  return field ? field.value : "";
}

// Read the fields of another page than a message's, which names them.
function readOwnFields(fields, names) {
  for (const name of ["csrf_token", "seen", "draft", ...names]) {
    if (form.elements[name]) fields.set(name, form.elements[name].value);
  }
  fields.set("format", formatOf(mode));
  return fields;
}

// Read the form as the browser would send it. FormData would change the line endings.
export function readFields() {
  const fields = new URLSearchParams();
  if (form.dataset.fields) return readOwnFields(fields, form.dataset.fields.split(" "));
  for (const name of ["csrf_token", "version", "draft", "language", "layout", "is_layout"]) {
    const field = form.elements[name];
    if (field && field.value) fields.set(name, field.value);
  }
  fields.set("subject", subject.value);
  fields.set("preheader", form.elements.preheader.value);
  if (form.elements.source_format.value) {
    fields.set("source_format", form.elements.source_format.value);
    fields.set("source", body.value);
  } else {
    fields.set("format", formatOf(mode));
    fields.set("body", body.value);
  }
  return fields;
}

// Report that a script has changed the body, so that the preview, drafts and colours are updated.
export function announceChange() {
  body.dispatchEvent(new Event("input", { bubbles: true }));
}

export function setBody(text) {
  body.value = text;
  announceChange();
}

export function insertIntoField(field, text) {
  field.focus();
  field.setRangeText(text, field.selectionStart, field.selectionEnd, "end");
  field.dispatchEvent(new Event("input", { bubbles: true }));
}
