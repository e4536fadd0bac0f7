// Show the clients who meet the conditions, and update them while the user edits. One request runs at a time; its
// response is dropped if the conditions have changed since.
import { create, form, texts } from "./form.js";

const PAUSE = 400; // milliseconds after the last change
const BUSY_PAUSE = 1000; // milliseconds, if the server is still computing
const part = document.querySelector("[data-preview-part]");
let timer = 0, isSending = false, isWaiting = false;
let readConditions = null, markRow = null;

function showNote(text) {
  part.replaceChildren(create("div", { id: "reach" }, create("p", { className: "quiet-note", textContent: text })));
}

async function send() {
  if (isSending) {
    isWaiting = true;
    return;
  }
  const { node, rows } = readConditions();
  if (!node) {
    showNote(texts.start);
    return;
  }
  isSending = true;
  part.firstElementChild.classList.add("is-stale");
  const body = new URLSearchParams({ conditions: JSON.stringify(node) });
  if (form.elements.csrf_token) body.set("csrf_token", form.elements.csrf_token.value);
  try {
    const response = await fetch(form.dataset.preview, { method: "POST", body });
    if (response.status === 429) schedule(BUSY_PAUSE);
    else if (!response.ok || response.redirected) showNote(texts.failed);
    else if (!isWaiting) show(await response.text(), rows);
  } catch {
    showNote(texts.failed);
  }
  isSending = false;
  if (isWaiting) {
    isWaiting = false;
    send();
  }
}

function show(html, rows) {
  part.innerHTML = html;
  const { number, problem } = part.firstElementChild.dataset;
  if (number) markRow(rows[number - 1], problem);
}

export function schedule(pause = PAUSE) {
  clearTimeout(timer);
  timer = setTimeout(send, pause);
}

// `read` returns the conditions and their rows, and `mark` shows the error of a row.
export function startPreview(read, mark) {
  readConditions = read;
  markRow = mark;
  schedule(0);
}
