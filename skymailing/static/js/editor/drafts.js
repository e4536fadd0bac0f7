// Save drafts on the server after each pause in typing, so that a closed tab or a crash loses nothing.
import { form, readFields, texts } from "./form.js";
import { createButton } from "./notice.js";

const PAUSE = 1000; // milliseconds after the last key
const MAX_DELAY = 5000; // milliseconds of typing without a pause
const RETRY = 8000; // milliseconds after a failed attempt
const SHORT = 50; // milliseconds between two looks at a request
const AGE_PAUSE = 3000; // milliseconds between two updates of the draft's age

const data = form.dataset;
const state = form.querySelector(".draft-state");
const discard = document.createElement("button");
let draft = form.elements.draft ? form.elements.draft.value : ""; // a layout has no drafts
let revision = data.revision;
let savedAt = data.savedAt ? Date.parse(data.savedAt) : 0;
let timer = 0, typingSince = 0;
let isSending = false, isDirty = false, isStopped = false, isForced = false;

function formatAge() {
  const seconds = Math.round((savedAt - Date.now()) / 1000);
  const format = new Intl.RelativeTimeFormat(data.locale, { numeric: "always", style: "short" });
  if (seconds > -60) return format.format(Math.min(seconds, -1), "second");
  if (seconds > -3600) return format.format(Math.round(seconds / 60), "minute");
  if (seconds > -86400) return format.format(Math.round(seconds / 3600), "hour");
  return format.format(Math.round(seconds / 86400), "day");
}

function showState(text, kind = "") {
  state.textContent = text;
  state.dataset.kind = kind;
}

function showAge() {
  if (savedAt && !isSending && state.dataset.kind !== "bad") showState(texts.saved.replace("{ago}", formatAge()));
}

function addAction(label, act) {
  state.append(" ", createButton(label, act));
}

function readDraft(changes = {}) {
  const fields = readFields();
  for (const [name, value] of Object.entries(changes)) fields.set(name, value);
  fields.delete("draft");
  if (draft) fields.set("revision", revision);
  if (isForced) fields.set("force", "1");
  return fields;
}

function draftUrl() {
  return draft ? `${data.drafts}/${draft}` : data.messageDraft || data.drafts;
}

function takeOver(other) {
  draft = String(other);
  isForced = true;
  isStopped = false;
  send();
}

// Another window has saved something else: stop, and let the author choose.
function showConflict(conflict) {
  isStopped = true;
  showState(texts[conflict.reason] || texts.failed, "bad");
  if (conflict.reason !== "elsewhere" || !conflict.draft) return;
  addAction(texts.takeOver, () => takeOver(conflict.draft));
  addAction(texts.reload, () => {
    stop();
    location.reload();
  });
}

function showSaved(saved) {
  const isNew = !draft;
  draft = String(saved.draft);
  revision = saved.revision;
  isForced = false;
  savedAt = Date.now();
  data.discard = saved.discard;
  form.elements.draft.value = draft;
  if (isNew && !data.message) history.replaceState(null, "", `${data.new}?draft=${draft}`);
  state.dataset.kind = "";
  discard.hidden = false;
}

async function send() {
  clearTimeout(timer);
  if (isSending || isStopped) return;
  isSending = true;
  isDirty = false;
  typingSince = 0;
  try {
    const response = await fetch(draftUrl(), { method: "POST", body: readDraft() });
    if (response.redirected) throw new Error(texts.signedOut);
    if (response.status === 409) showConflict(await response.json());
    else if (response.ok) showSaved(await response.json());
    else throw new Error(texts.failed);
  } catch (error) {
    isDirty = true;
    showState(error.message === texts.signedOut ? texts.signedOut : texts.failed, "bad");
    timer = setTimeout(send, RETRY);
  } finally {
    isSending = false;
    showAge();
    if (isDirty && state.dataset.kind !== "bad") schedule();
  }
}

function schedule() {
  isDirty = true;
  if (isStopped) return;
  clearTimeout(timer);
  typingSince = typingSince || Date.now();
  timer = setTimeout(send, Math.max(0, Math.min(PAUSE, typingSince + MAX_DELAY - Date.now())));
}

function stop() {
  isStopped = true;
  isDirty = false;
  clearTimeout(timer);
}

// Save a draft now, with other values of some fields. Resolves to the draft.
export async function flushDraft(changes) {
  clearTimeout(timer);
  while (isSending) await new Promise((done) => setTimeout(done, SHORT));
  const response = await fetch(draftUrl(), { method: "POST", body: readDraft(changes) });
  if (response.redirected) throw new Error(texts.signedOut);
  const saved = await response.json();
  if (!response.ok) throw new Error(texts[saved.reason] || texts.failed);
  showSaved(saved);
  return saved;
}

export { stop as stopDrafts };

function addDiscardButton() {
  discard.type = "submit";
  discard.className = "btn btn-quiet btn-sm draft-discard";
  discard.textContent = texts.discard;
  discard.formNoValidate = true;
  discard.hidden = true; // until a draft is saved here; the notice at the top has a button to discard an earlier one
  discard.addEventListener("click", () => {
    stop();
    discard.formAction = data.discard;
  });
  state.after(discard);
}

// Save each change from now on, also if the author has already changed something.
export function startDrafts(isChanged = false) {
  addDiscardButton();
  if (isChanged) schedule();
  form.addEventListener("input", (event) => {
    if (!event.target.closest(".values-panel")) schedule();
  });
  form.addEventListener("submit", (event) => {
    if (!event.submitter || !event.submitter.formTarget) stop();
  });
  // Save the latest changes when the tab is closed.
  window.addEventListener("pagehide", () => {
    if (isDirty && !isStopped) navigator.sendBeacon(draftUrl(), readDraft());
  });
  showAge();
  setInterval(showAge, AGE_PAUSE);
}
