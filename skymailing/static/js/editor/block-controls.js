// The controls of a panel: each sets one field of a block or of the letter.
import { choosePalette } from "./block-colors.js";
import { kit } from "./block-design.js";
import { texts } from "./block-texts.js";
import { h, icon } from "./dom.js";
import { offerValues } from "./values.js";

const ALIGN_ICONS = { left: "text-left", center: "text-center", right: "text-right" };
const SMALL = "form-control form-control-sm";
let lastNumber = 0;

function makeId() {
  lastNumber += 1;
  return `bp-${lastNumber}`;
}

export function labelOf(field, owner) {
  return texts.fields[`${owner}.${field.name}`] || texts.fields[field.name] || field.name;
}

function optionLabel(field, value, owner) {
  return texts.fields[`${owner}.${field.name}.${value}`] || texts.fields[`${field.name}.${value}`] || String(value);
}

function openMenu(event, input) {
  event.stopPropagation(); // a click outside the menu would close it
  offerValues(input);
}

function drawValuesButton(input, name) {
  input.dataset.values = "";
  return h("button", {
    class: "bp-values",
    type: "button",
    title: texts.insertValue,
    "aria-label": `${texts.insertValue}: ${name}`,
    on: { click: (event) => openMenu(event, input) },
  }, icon("person-lines-fill"));
}

// Put a label above an input, and an error and a button for client data next to it.
export function drawField(context, field, input, { note = "" } = {}) {
  const id = makeId();
  const problem = context.problemOf(field);
  input.id = id;
  input.dataset.path = context.pathOf(field).join("/");
  const described = [problem ? `${id}-error` : "", note ? `${id}-note` : ""].filter(Boolean).join(" ");
  if (described) input.setAttribute("aria-describedby", described);
  if (problem) {
    input.setAttribute("aria-invalid", "true");
    input.classList.add("is-invalid");
  }
  const label = h("label", { class: "form-label", for: id, text: labelOf(field, context.owner) });
  const values = field.values ? drawValuesButton(input, label.textContent) : null;
  return h("div", { class: "bp-field" }, h("div", { class: "bp-label" }, label, values), input,
    problem ? h("p", { class: "field-errors", id: `${id}-error`, text: problem }) : null,
    note ? h("div", { class: "form-text", id: `${id}-note`, text: note }) : null);
}

function drawLine(context, field) {
  const input = h("input", { class: SMALL, type: "text", autocomplete: "off", maxlength: field.limit, value: context.get(field) });
  input.addEventListener("input", () => context.set(field, input.value));
  return drawField(context, field, input, { note: texts.notes[`${context.owner}.${field.name}`] });
}

export function completeUrl(url) {
  const text = url.trim();
  if (!text || /^([a-z][a-z+.-]*:|\{\{|\{%)/i.test(text)) return text;
  return (/^[^/]+@/.test(text) ? "mailto:" : "https://") + text;
}

function drawUrl(context, field) {
  const input = h("input", {
    class: SMALL,
    type: "text",
    inputmode: "url",
    autocomplete: "off",
    placeholder: "https://",
    maxlength: 2000,
    value: context.get(field),
  });
  input.addEventListener("input", () => context.set(field, completeUrl(input.value)));
  input.addEventListener("change", () => {
    input.value = completeUrl(input.value);
  });
  return drawField(context, field, input);
}

function drawArea(context, field) {
  const isCode = field.kind === "code";
  const look = isCode ? { class: `${SMALL} bp-code`, rows: 10, spellcheck: "false" } : { class: SMALL, rows: 4, spellcheck: "true" };
  const input = h("textarea", { ...look, value: context.get(field) });
  input.addEventListener("input", () => context.set(field, input.value));
  return drawField(context, field, input, { note: texts.notes[`${context.owner}.${field.name}`] });
}

function drawNumber(context, field) {
  const write = (value) => `${value} ${field.unit}`;
  const input = h("input", { class: "bp-range", type: "range", min: field.least, max: field.most, value: context.get(field) });
  const shown = h("output", { text: write(input.value) });
  const show = () => {
    shown.textContent = write(input.value);
    input.setAttribute("aria-valuetext", write(input.value));
  };
  show();
  input.addEventListener("input", () => {
    show();
    context.set(field, Number(input.value));
  });
  const box = drawField(context, field, input);
  box.classList.add("bp-number");
  box.querySelector(".bp-label").append(shown);
  return box;
}

function drawColor(context, field) {
  const fallback = choosePalette()[field.fallback];
  const input = h("input", { class: "bp-color", type: "color", value: context.get(field) || fallback });
  const reset = h("button", {
    class: "btn btn-quiet btn-sm",
    type: "button",
    text: texts.resetColor,
    "aria-label": `${texts.resetColor}: ${labelOf(field, context.owner)}`,
  });
  reset.hidden = !context.get(field);
  input.addEventListener("input", () => {
    reset.hidden = false;
    context.set(field, input.value);
  });
  reset.addEventListener("click", () => {
    context.set(field, "");
    input.value = choosePalette()[field.fallback];
    reset.hidden = true;
    input.focus();
  });
  const box = drawField(context, field, input);
  box.classList.add("bp-inline");
  box.append(reset);
  return box;
}

function drawFlag(context, field) {
  const id = makeId();
  const input = h("input", { class: "form-check-input", type: "checkbox", id, "data-path": context.pathOf(field).join("/") });
  input.checked = context.get(field);
  input.addEventListener("change", () => context.set(field, input.checked));
  const label = h("label", { class: "form-check-label", for: id, text: labelOf(field, context.owner) });
  return h("div", { class: "form-check bp-field" }, input, label);
}

function drawChoice(context, field) {
  const name = makeId();
  const current = context.get(field);
  const options = field.values.map((value) => {
    const path = `${context.pathOf(field).join("/")}=${value}`;
    const input = h("input", { type: "radio", name, id: `${name}-${value}`, value: String(value), "data-path": path });
    input.checked = value === current;
    input.addEventListener("change", () => context.set(field, value));
    const text = optionLabel(field, value, context.owner);
    const label = h("label", { for: input.id, title: text });
    if (field.name === "align") label.append(icon(ALIGN_ICONS[value]), h("span", { class: "visually-hidden", text }));
    else label.append(text);
    return h("span", {}, input, label);
  });
  const legend = h("legend", { class: "form-label", text: labelOf(field, context.owner) });
  return h("fieldset", { class: "bp-field" }, legend, h("div", { class: "bp-options" }, options));
}

export function drawSelect(context, field, options) {
  const input = h("select", { class: "form-select form-select-sm" }, options.map(([value, text]) => h("option", { value, text })));
  input.value = context.get(field);
  input.addEventListener("change", () => context.set(field, input.value));
  return drawField(context, field, input);
}

function drawFonts(context, field) {
  return drawSelect(context, field, [["", texts.brandFont], ...Object.keys(kit.fonts).map((name) => [name, texts.fonts[name]])]);
}

export const CONTROLS = {
  line: drawLine,
  url: drawUrl,
  area: drawArea,
  code: drawArea,
  number: drawNumber,
  color: drawColor,
  flag: drawFlag,
  choice: drawChoice,
  fonts: drawFonts,
};
