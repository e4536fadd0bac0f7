// Switch between the four modes, and ask before anything is lost.
import { confirmLoss } from "./dialogs.js";
import { announceChange, body, form, formatOf, mode, readFields, setMode, texts } from "./form.js";
import { loadTemplate } from "./later.js";
import { showNotice } from "./notice.js";
import { dropEmptyEnd, findLosses, splitPage } from "./page.js";
import { paintSource } from "./source.js";
import { writeMarkdown } from "./write-markdown.js";

const fieldset = form.querySelector(".modes");
const tools = form.querySelector(".tools");
let isBusy = false;
let writing = null; // the module of writing mode, once it is needed

function choice(name) {
  return fieldset.querySelector(`[data-mode="${name}"]`);
}

function show(name) {
  setMode(name);
  choice(name).checked = true;
  form.dataset.mode = name;
  form.querySelector(".writing").hidden = name !== "writing";
  form.querySelector(".body-field").hidden = name === "writing";
  tools.querySelector(".tools-writing").hidden = name !== "writing";
  tools.querySelector('[data-tool="picture"]').hidden = name === "text";
  paintSource();
}

// Ask the server for the body in another format.
async function convert(format) {
  const fields = readFields();
  fields.set("to", format);
  const response = await fetch(form.dataset.convert, { method: "POST", body: fields });
  if (response.redirected) throw new Error(texts.signedOut);
  if (response.status === 429) throw new Error(texts.busy);
  const result = await response.json();
  if (!response.ok) throw new Error(result.problem);
  return result.body;
}

async function loadWriting() {
  await loadTemplate("writing");
  writing = await import("./writing.js");
  return writing;
}

function isBlank() {
  return mode === "writing" && writing.isBlank();
}

// Open HTML in writing mode; ask first if something would be lost. Resolves to whether it is open.
async function offerWriting(html) {
  const { openWriting } = await loadWriting();
  const losses = openWriting(html, false);
  if (!losses.length) return true;
  if (!(await confirmLoss(texts.toWriting, losses))) return false;
  openWriting(html, true);
  return true;
}

function restore(previous) {
  showNotice("");
  body.value = previous.body;
  if (previous.mode === "writing") writing.openWriting(previous.body, true);
  show(previous.mode);
  announceChange();
}

// Give a new message its design if the author does not wait for writing mode, which would have opened it.
async function fillBlank() {
  const page = await convert("html");
  if (!body.value.trim()) body.value = page;
}

// Convert the body for another mode. Resolves to false if the author decides against it.
async function change(to) {
  const previous = { mode, body: body.value };
  const fromFormat = formatOf(mode), toFormat = formatOf(to);
  if (fromFormat === toFormat) {
    if (to === "writing") return offerWriting(previous.body);
    if (!form.dataset.mode && !previous.body.trim()) await fillBlank();
    return true;
  }

  const isEmptyDesign = isBlank();
  // Everything but the design can be kept if writing mode supports the whole text.
  const keepsAllButDesign = to === "markdown" && fromFormat === "html" && !(await loadWriting()).openWriting(previous.body, false).length;
  if (fromFormat === "html" && !isEmptyDesign && previous.body.trim()) {
    if (!(await confirmLoss(keepsAllButDesign ? texts.toMarkdown : texts.toText, []))) return false;
  }
  if (isEmptyDesign) previous.body = "";
  // Markdown is plain text already, and plain text is Markdown.
  if (fromFormat !== "html" && toFormat !== "html") return true;
  if (!previous.body && toFormat !== "html") {
    body.value = "";
    return true;
  }
  body.value = keepsAllButDesign ? writeMarkdown(writing.getWriting().getContents()) : await convert(toFormat);
  if (to === "writing") (await loadWriting()).openWriting(body.value, true);
  if (previous.body.trim()) showNotice(texts.converted, texts.back, () => restore(previous));
  return true;
}

async function choose(event) {
  const to = event.target.dataset.mode;
  if (!to || (to === mode && form.dataset.mode)) return; // before a mode is shown, the author may choose any
  event.stopPropagation();
  if (isBusy) return show(mode);
  isBusy = true;
  showNotice("");
  const before = body.value;
  try {
    const isDone = await change(to);
    show(isDone ? to : mode);
    if (isDone && before.trim()) announceChange();
  } catch (error) {
    show(mode);
    showNotice(error.message);
  } finally {
    isBusy = false;
  }
}

function showKept(losses) {
  if (losses.length) showNotice(texts.keptSource.replace("{parts}", losses.join("; ")));
  show(losses.length ? "html" : "writing");
}

// Open the first mode: writing mode, unless something would be lost. CSS hides the text until a mode is shown.
async function openFirst() {
  const format = form.elements.format.value;
  const hasText = Boolean(body.value.trim());
  setMode(format);
  if (format !== "html" && (hasText || form.dataset.kind !== "new")) return show(format);
  // Loading Quill is not necessary to see that it does not support a table.
  const losses = findLosses(dropEmptyEnd(splitPage(body.value).text), texts);
  if (losses.length) return showKept(losses);
  choice("writing").checked = true; // so that a click on HTML is a change
  try {
    const [design, { openWriting }] = await Promise.all([hasText ? null : convert("html"), loadWriting()]);
    if (form.dataset.mode) return; // the author has chosen another mode since
    const isBlankStill = !body.value.trim(); // CSS unveils the text after a while, so the author may have typed
    if (isBlankStill) body.value = design || "";
    showKept(openWriting(body.value, isBlankStill));
  } catch {
    if (!form.dataset.mode) show(format);
    if (!writing) showNotice(texts.notLoaded);
  }
}

// The links above the form that choose a kind of message: text and HTML are modes of this page.
function followLink(event) {
  const link = event.target.closest('[href="#message-form"]');
  if (!link) return;
  event.preventDefault();
  choice(link.dataset.choose || "writing").click();
  form.scrollIntoView();
  form.elements.subject.focus({ preventScroll: true });
}

export function startModes() {
  document.querySelector(".kind-list")?.addEventListener("click", followLink);
  fieldset.addEventListener("input", choose);
  form.addEventListener("submit", () => {
    // A design without any text is not a message: send an empty body, and the server asks for the text.
    if (isBlank()) body.value = "";
  }, true);
  openFirst();
}
