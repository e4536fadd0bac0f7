// Load the rest of an editor once its first drawing is on the screen, without losing what the author does until then.
import { announceChange, form, texts } from "./form.js";

const BUTTONS = ".tools button, .bs button, #preview button[type=button]";

const loading = {}; // by the ID of the template: when its contents are loaded
let repeat = () => {}; // does what the author's last click was for
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

// Keep a click for which the scripts are still missing; `act` gets what `start` of loadRest returned.
export function remember(act) {
  repeat = act;
}

function keepClick({ target }) {
  const button = target.closest(BUTTONS);
  if (button) remember(() => button.click());
}

function keepTyping() {
  hasTyped = true;
}

function waitForPaint() {
  if (document.hidden) return null; // nothing is painted
  return new Promise((resolve) => {
    requestAnimationFrame(() => setTimeout(resolve));
  });
}

// Load what is in the page's template, and then call `start`, which imports the rest and starts it.
export async function loadRest(start) {
  const early = new AbortController();
  document.addEventListener("click", keepClick, { capture: true, signal: early.signal });
  form.addEventListener("input", keepTyping, { signal: early.signal });
  try {
    await waitForPaint();
    await loadTemplate("rest");
    const result = await start(); // first, because the last click may be made during it
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
