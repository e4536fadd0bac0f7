// Load the rest of an editor once its first drawing is on the screen, without losing what the author does until then.
import { announceChange, form, texts } from "./form.js";

const BUTTONS = ".tools button, .bs button, #preview button[type=button]";

const loading = {}; // by the ID of the template: when its contents are loaded
const doNothing = () => {};
let repeat = doNothing; // does what the author's last click was for
let hasTyped = false;

// Load the scripts and styles in a template of the page, if it has one.
export function loadTemplate(id) {
  loading[id] = loading[id] || insertTemplate(document.getElementById(id)).catch(() => {
    delete loading[id]; // so that the next attempt loads it again
    throw new Error(texts.notLoaded);
  });
  return loading[id];
}

async function insertTemplate(template) {
  if (!template) return;
  const content = template.content.cloneNode(true);
  const loads = [...content.querySelectorAll("script, [rel=stylesheet]")].map((node) => (
    new Promise((resolve, reject) => {
      node.addEventListener("load", resolve);
      node.addEventListener("error", reject);
    })
  ));
  document.head.prepend(content); // before our own styles, which change those of libraries
  await Promise.all(loads);
}

// Keep a click for which the scripts are still missing; `act` gets what `act` of loadRest returned.
export function remember(act) {
  repeat = act;
}

function keepClick({ target }) {
  const button = target.closest(BUTTONS);
  if (button) remember(() => button.click());
}

function keepTyping() {
  hasTyped = true;
  repeat = doNothing; // the click was for the text before, and now something else may be selected
}

// Drafts do not wait for the rest of the editor: what is typed is saved even if the rest is never loaded.
async function loadDrafts() {
  if (!form.dataset.drafts) return;
  const { startDrafts } = await import("./drafts.js");
  startDrafts(hasTyped);
}

async function start(act) {
  await loadTemplate("rest");
  return act();
}

function waitForPaint() {
  if (document.hidden) return null; // nothing is painted
  return new Promise((resolve) => {
    requestAnimationFrame(() => setTimeout(resolve));
  });
}

// Load what is in the page's template, and then call `act`, which imports the rest and starts it.
export async function loadRest(act) {
  const early = new AbortController();
  document.addEventListener("click", keepClick, { capture: true, signal: early.signal });
  form.addEventListener("input", keepTyping); // for drafts, which may load even if the rest fails
  try {
    await waitForPaint();
    // First, because the last click may be made during it.
    const [result] = await Promise.all([start(act), loadDrafts()]);
    repeat(result);
    if (hasTyped) announceChange();
    form.dataset.ready = "";
  } catch (error) {
    const notice = form.querySelector(".mode-notice");
    notice.textContent = texts.notLoaded;
    notice.hidden = false;
    throw error;
  } finally {
    early.abort();
  }
}
