// The preview next to the text: the letter for a chosen client, as the server renders it.
import { form, readFields, texts } from "./form.js";
import { showInFrame } from "./frames.js";
import { createButton } from "./notice.js";

const PAUSE = 450; // milliseconds after the last key
const SEARCH_PAUSE = 250; // milliseconds
const DESKTOP = 700; // pixels
const PHONE = 400; // pixels; a narrower pane shows the phone view first

const pane = document.getElementById("preview");
const screen = pane.querySelector(".preview-screen");
const notes = pane.querySelector(".preview-notes");
const text = pane.querySelector(".preview-text");
const size = pane.querySelector(".preview-size");
let leadTo = () => null, report = () => {};
let isDark = pageIsDark(), isNew = true; // new: not shown yet
let client = "", view = "desktop", hasHtml = true;
let request = null, timer = 0;

function addNote(kind, before, codes = []) {
  const paragraph = document.createElement("p");
  paragraph.className = `note note-${kind}`;
  paragraph.append(`${before} `);
  codes.forEach((string, place) => {
    const code = document.createElement("code");
    code.textContent = string;
    paragraph.append(place ? ", " : "", code);
  });
  notes.append(paragraph);
  return paragraph;
}

function showProblem(problem) {
  const paragraph = addNote("bad", problem.text);
  const way = leadTo(problem);
  if (way) paragraph.append(createButton(way.label, way.act));
}

function showFinding(finding) {
  const paragraph = addNote("waiting", finding.text);
  const way = leadTo(finding);
  if (way) paragraph.append(createButton(way.label, way.act));
}

function showFacts(facts) {
  notes.replaceChildren();
  screen.classList.toggle("preview-stale", Boolean(facts.problem));
  pane.querySelector("[data-as]").textContent = facts.to;
  report(facts.problem || null, facts.findings || []);
  if (facts.problem) {
    showProblem(facts.problem);
    return;
  }
  const subject = pane.querySelector("[data-subject]");
  subject.textContent = facts.subject || texts.noSubject;
  subject.classList.toggle("no-value", !facts.subject);
  for (const [tag, suggestion] of facts.unknown) {
    const paragraph = addNote("bad", texts.unknown, [tag]);
    if (suggestion) paragraph.append(`. ${texts.meant.replace("{text}", suggestion)}`);
  }
  if (facts.empty.length) addNote("waiting", texts.empty, facts.empty);
  for (const finding of facts.findings) showFinding(finding);
  text.textContent = facts.text;
  size.textContent = texts.size.replace("{size}", facts.size);
  hasHtml = facts.has_html;
  showView();
}

function showView() {
  const isText = view === "text" || !hasHtml;
  screen.hidden = isText;
  text.hidden = !isText;
  screen.dataset.view = view === "outlook" ? "desktop" : view;
  for (const button of pane.querySelectorAll("button[data-view]")) {
    button.setAttribute("aria-pressed", String(button.dataset.view === view));
  }
}

function readFieldsAndClient() {
  const fields = readFields();
  if (client) fields.set("client", client);
  return fields;
}

function showLetter() {
  const fields = readFieldsAndClient();
  fields.set("part", "html");
  if (view === "outlook") fields.set("look", "outlook");
  showInFrame(screen, form.dataset.preview, fields);
}

async function refresh() {
  if (request) request.abort(); // only the newest response counts
  request = new AbortController();
  try {
    const options = { method: "POST", body: readFieldsAndClient(), signal: request.signal };
    const response = await fetch(form.dataset.insight, options);
    if (response.status === 429) scheduleRefresh(1000); // earlier requests are still being processed
    if (!response.ok || response.redirected) return;
    const facts = await response.json();
    showFacts(facts);
    // A hidden pane loads the letter when it is shown.
    if (facts.has_html && pane.offsetParent) showLetter();
  } catch {
    // Without a connection, keep the old preview; the draft status reports the problem.
  } finally {
    pane.dataset.ready = "";
  }
}

function scheduleRefresh(pause) {
  clearTimeout(timer);
  timer = setTimeout(refresh, pause);
}

function choose(person) {
  client = pane.dataset.client = String(person.id);
  pane.querySelector(".preview-as").open = false;
  scheduleRefresh(0);
}

function listPeople(list, people) {
  list.replaceChildren(...people.map((person) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = person.name ? `${person.name} · ${person.email}` : person.email;
    button.addEventListener("click", () => choose(person));
    const item = document.createElement("li");
    item.append(button);
    return item;
  }));
  if (!people.length) list.append(texts.noOne);
}

function startSearch() {
  const input = pane.querySelector("#preview-search");
  if (!input) return;
  const list = pane.querySelector(".preview-people ul");
  let searchTimer = 0, lastSearch = 0;

  async function search() {
    const searchNumber = ++lastSearch;
    try {
      const response = await fetch(`${form.dataset.recipients}?q=${encodeURIComponent(input.value)}`);
      const people = await response.json();
      if (searchNumber === lastSearch) listPeople(list, people);
    } catch {
      // Without a connection, the list does not change.
    }
  }

  input.addEventListener("input", () => {
    clearTimeout(searchTimer);
    searchTimer = setTimeout(search, SEARCH_PAUSE);
  });
  pane.querySelector(".preview-as").addEventListener("toggle", (event) => {
    if (!event.target.open) return;
    search();
    input.focus();
  });
}

// A computer's window is wider than the pane, so the letter is laid out at that width and scaled down.
function fit() {
  if (isNew && screen.clientWidth) {
    isNew = false;
    if (screen.clientWidth < PHONE) {
      view = "phone";
      showView();
    }
  }
  screen.style.setProperty("--shrink", Math.min(1, screen.clientWidth / DESKTOP));
}

export function refreshPreview() {
  scheduleRefresh(0);
}

function pageIsDark() {
  const scheme = getComputedStyle(document.documentElement).colorScheme;
  return scheme === "dark" || (scheme !== "light" && window.matchMedia("(prefers-color-scheme: dark)").matches);
}

// Mail programs in dark mode ask the letter for its dark colours; a frame's color-scheme has the same effect.
function showColors(button) {
  button.setAttribute("aria-pressed", String(isDark));
  screen.classList.toggle("preview-dark", isDark);
  screen.classList.toggle("preview-light", !isDark);
}

// Show the preview. `findWay` returns what leads to the place of a problem: a label and an action, or null;
// `onProblem` is called with the problem in each version, or null, and with what readers may have trouble with.
export function startPreview({ findWay, onProblem = () => {} }) {
  leadTo = findWay;
  report = onProblem;
  const dark = pane.querySelector("[data-dark]");
  dark.addEventListener("click", () => {
    isDark = !isDark;
    showColors(dark);
  });
  showColors(dark);
  pane.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-view]");
    if (!button) return;
    const wasOutlook = view === "outlook";
    view = button.dataset.view;
    showView();
    // The server draws this look; the others differ in size only.
    if (hasHtml && wasOutlook !== (view === "outlook")) showLetter();
  });
  new ResizeObserver(fit).observe(screen);
  startSearch();
  form.addEventListener("input", () => scheduleRefresh(PAUSE));
  scheduleRefresh(0);
}
