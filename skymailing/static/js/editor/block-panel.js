// The side of the editor: what can be added, the fields of the selected block, and the design of the letter. On a
// narrow screen, the fields are below their block, and the rest is a sheet at the bottom.
import { findNode, getSelected } from "./block-canvas.js";
import { CONTROLS } from "./block-controls.js";
import { drawCondition } from "./block-controls-more.js";
import "./block-links.js";
import { defaultsOf, getSetting, locate, onChange, setField, setSetting, styleOf } from "./block-design.js";
import { nameOf, SETTING_FIELDS, styleFieldsOf, TYPES } from "./block-types.js";
import { texts } from "./block-texts.js";
import { h, icon } from "./dom.js";
import { form } from "./form.js";

const side = form.querySelector(".bs");
const panels = {
  add: side.querySelector("#bs-add"),
  block: side.querySelector("#bs-block"),
  design: side.querySelector("#bs-design"),
};
const tabs = [...side.querySelectorAll("[role=tab]")];
const narrow = window.matchMedia("(max-width: 60rem)");
const VISIBILITY = { name: "on", kind: "choice", values: ["all", "desktop", "phone"] };

let findProblem = () => null; // returns the error of a block: its path and text
let handlers = {};
const opened = new Set(["fields"]); // the groups that are unfolded

// Show a tab; on a narrow screen, open the sheet with it.
export function showTab(name, isSheetOpen = false) {
  for (const tab of tabs) {
    const isShown = tab.dataset.tab === name;
    tab.setAttribute("aria-selected", String(isShown));
    tab.tabIndex = isShown ? 0 : -1;
  }
  for (const [key, panel] of Object.entries(panels)) panel.hidden = key !== name;
  if (narrow.matches) panels.block.hidden = !getSelected();
  side.classList.toggle("bs-open", isSheetOpen);
}

export function isNarrow() {
  return narrow.matches;
}

export function closeSheet() {
  side.classList.remove("bs-open");
}

// Describe where the controls of a group read and write: a block, one of its objects, or the letter.
function makeContext(id, prefix, owner) {
  const problem = () => findProblem(id);
  const pathOf = ({ name }) => [...prefix, name];
  const problemAt = (path) => {
    const found = problem();
    return found && found.path.join("/").startsWith(path.join("/")) ? found.text : "";
  };
  return { owner, pathOf, problemAt, problemOf: (field) => problemAt(pathOf(field)), refresh: drawPanel };
}

function blockContext(id, prefix) {
  const { block } = locate(id);
  const own = { style: styleOf(locate(id)), visibility: { on: "all", when: null } };
  const defaults = own[prefix[0]] || defaultsOf(block.type);
  const context = makeContext(id, prefix, block.type);
  return {
    ...context,
    get: ({ name }) => {
      let value = locate(id).block;
      for (const step of prefix) value = value && value[step];
      return (value && value[name]) ?? defaults[name];
    },
    set: (field, value) => {
      const isDefault = prefix[0] !== "style" && !Array.isArray(value) && value === defaults[field.name];
      setField(id, context.pathOf(field), isDefault ? undefined : value);
      if (field.refreshes) drawPanel();
    },
  };
}

function drawControls(context, fields) {
  return fields.map((field) => {
    if (field.hiddenBy && context.get({ name: field.hiddenBy })) return null;
    return CONTROLS[field.kind](context, field);
  });
}

function drawGroup(name, title, content) {
  const group = h("details", { class: "bp-group", open: opened.has(name) }, h("summary", { text: title }), h("div", {}, content));
  group.addEventListener("toggle", () => (group.open ? opened.add(name) : opened.delete(name)));
  return group;
}

function drawTextHelp(id) {
  const edit = h("button", {
    class: "btn btn-outline btn-sm", type: "button", "data-path": "delta", on: { click: (event) => handlers.onEditText(id, event) },
  }, icon("pencil"), texts.editText);
  return [h("p", { class: "form-text", text: texts.notes["text.delta"] }), edit];
}

function drawBlockPanel(id) {
  const { block } = locate(id);
  const type = TYPES[block.type];
  const found = findProblem(id);
  const problem = found ? h("p", { class: "field-errors", role: "alert", text: found.text }) : null;
  const head = h("h2", { class: "bp-title" }, icon(type ? type.icon : "question-circle"), nameOf(block.type));
  if (!type) return [head, problem];
  const own = block.type === "text" ? drawTextHelp(id) : drawControls(blockContext(id, []), type.fields);
  const visibility = blockContext(id, ["visibility"]);
  return [
    head,
    problem,
    h("div", { class: "bp-own" }, own),
    drawGroup("style", texts.groupStyle, drawControls(blockContext(id, ["style"]), styleFieldsOf(block.type))),
    drawGroup("visibility", texts.groupVisibility, [...drawControls(visibility, [VISIBILITY]), drawCondition(visibility)]),
  ];
}

function keepFocus(panel, redraw) {
  const focused = document.activeElement;
  const path = panel.contains(focused) ? focused.dataset.path : "";
  const isText = path && focused.matches("input[type=text], textarea");
  const range = isText ? [focused.selectionStart, focused.selectionEnd] : null;
  redraw();
  if (!path) return;
  const again = panel.querySelector(`[data-path="${CSS.escape(path)}"]`) || panel.querySelector("[data-path]");
  if (!again) return;
  again.focus({ preventScroll: true });
  if (range && again.setSelectionRange && again.matches("input[type=text], textarea")) again.setSelectionRange(...range);
}

// Draw the fields of the selected block again.
export function drawPanel() {
  const id = getSelected();
  keepFocus(panels.block, () => {
    panels.block.replaceChildren(...(id ? drawBlockPanel(id) : [h("p", { class: "form-text", text: texts.nothingSelected })]).filter(Boolean));
  });
  place();
}

function drawDesignPanel() {
  const context = {
    ...makeContext("", [], "settings"),
    get: ({ name }) => getSetting(name),
    set: ({ name }, value) => setSetting(name, value),
  };
  const settings = panels.design.querySelector(".bs-settings");
  keepFocus(settings, () => settings.replaceChildren(...drawControls(context, SETTING_FIELDS)));
}

// Put the fields of the selected block where they belong on this screen.
export function place() {
  const node = narrow.matches && getSelected() ? findNode(getSelected()) : null;
  const home = node || side.querySelector(".bs-panels");
  if (panels.block.parentNode !== home) home.append(panels.block);
  panels.block.classList.toggle("bp-below", Boolean(node));
  if (narrow.matches) panels.block.hidden = !node;
}

// Move the focus to the first field of the selected block, or to the field with an error.
export function focusPanel(path = "") {
  const bad = path ? panels.block.querySelector(`[data-path="${CSS.escape(path)}"]`) : null;
  const first = bad || panels.block.querySelector("[aria-invalid], [data-path], summary");
  if (!first) return;
  const group = first.closest("details");
  if (group) group.open = true;
  first.focus();
}

function useTabKeys(event) {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!step || !event.target.matches("[role=tab]")) return;
  event.preventDefault();
  const next = tabs[(tabs.indexOf(event.target) + step + tabs.length) % tabs.length];
  showTab(next.dataset.tab);
  next.focus();
}

export function startPanel(given) {
  handlers = given;
  findProblem = given.findProblem;
  for (const tab of tabs) tab.addEventListener("click", () => showTab(tab.dataset.tab, side.classList.contains("bs-open")));
  side.addEventListener("keydown", useTabKeys);
  side.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !side.classList.contains("bs-open")) return;
    closeSheet();
    form.querySelector('.tools [data-act="add"]').focus();
  });
  panels.block.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    event.preventDefault();
    event.stopPropagation();
    handlers.onLeave();
  });
  onChange((what) => {
    if (what !== "all") return;
    drawPanel();
    drawDesignPanel();
  });
  narrow.addEventListener("change", () => {
    drawPanel();
    showTab(getSelected() && !narrow.matches ? "block" : "add");
  });
  drawPanel();
  drawDesignPanel();
  showTab("add");
}
