// Controls of several parts: pictures, links to networks, columns, conditions.
import { completeUrl, CONTROLS, drawField, drawSelect } from "./block-controls.js";
import { kit } from "./block-design.js";
import { fill, texts } from "./block-texts.js";
import { displayUrl } from "./blots.js";
import { h, icon } from "./dom.js";
import { texts as shared } from "./form.js";
import { upload } from "./uploads.js";

const TYPES = "image/jpeg,image/png,image/webp";
const MAX_LINKS = 12;
const SPLITS = { 2: [[50, 50], [34, 66], [66, 34]], 3: [[33, 34, 33], [25, 50, 25]] };

// A picture: shown small, with a button that uploads another one; its address can be typed as well.
function drawPicture(context, field) {
  const src = context.get(field);
  const file = h("input", { type: "file", accept: TYPES, hidden: true, "aria-label": texts.choosePicture });
  const status = h("p", { class: "form-text", role: "status" });
  const button = h("button", { class: "btn btn-outline btn-sm", type: "button", "data-path": "upload", on: { click: () => file.click() } },
    icon("image"), src ? texts.replacePicture : texts.choosePicture);
  file.addEventListener("change", () => {
    if (file.files.length) uploadInto(context, field, file.files[0], status);
  });
  const shown = src ? h("img", { class: "bp-picture", src: displayUrl(src), alt: "" }) : null;
  const address = CONTROLS.url(context, { ...field, kind: "url", values: true });
  const more = h("details", { open: Boolean(context.problemOf(field)) }, h("summary", { text: texts.pictureByAddress }), address);
  return h("div", { class: "bp-field bp-upload" }, shown, button, file, status, more);
}

export async function uploadInto(context, field, file, status) {
  status.textContent = shared.uploading;
  try {
    const { url } = await upload(file);
    context.set(field, url);
    context.refresh();
  } catch (error) {
    status.textContent = error.message || shared.uploadFailed;
  }
}

function drawLinks(context, field) {
  const links = context.get(field);
  const put = (list) => {
    context.set(field, list);
    context.refresh();
  };
  const rows = links.map((link, place) => {
    const change = (name, value) => context.set(field, context.get(field).map((old, at) => (at === place ? { ...old, [name]: value } : old)));
    const network = h("select", { class: "form-select form-select-sm", "aria-label": fill(texts.networkLabel, { number: place + 1 }) },
      Object.entries(kit.networks).map(([key, { name }]) => h("option", { value: key, text: texts.networks[key] || name })));
    network.value = link.network;
    network.addEventListener("change", () => change("network", network.value));
    const problem = context.problemAt([...context.pathOf(field), String(place), "url"]);
    const url = h("input", {
      class: `form-control form-control-sm${problem ? " is-invalid" : ""}`, type: "text", inputmode: "url", autocomplete: "off", value: link.url,
      placeholder: link.network === "email" ? "mailto:" : "https://", "aria-label": fill(texts.networkUrl, { number: place + 1 }), "aria-invalid": problem ? "true" : null,
      "data-path": `links/${place}`,
    });
    url.addEventListener("input", () => change("url", completeUrl(url.value)));
    url.addEventListener("change", () => {
      url.value = completeUrl(url.value);
    });
    const remove = h("button", { class: "tool", type: "button", title: texts.removeLink, "aria-label": `${texts.removeLink} ${place + 1}`, on: { click: () => put(context.get(field).filter((_link, at) => at !== place)) } }, icon("x-lg"));
    return h("li", {}, network, remove, url, problem ? h("p", { class: "field-errors", text: problem }) : null);
  });
  const add = h("button", { class: "btn btn-outline btn-sm", type: "button", "data-path": "add-link", on: { click: () => put([...context.get(field), { network: "website", url: "" }]) } }, icon("plus-lg"), texts.addLink);
  return h("div", { class: "bp-field" }, h("ol", { class: "bp-links" }, rows), links.length < MAX_LINKS ? add : null);
}

// The number of columns and their widths, as one choice of splits.
function drawColumns(context, field) {
  const columns = context.get(field);
  const current = columns.map((column) => column.width || 0).join(":");
  const options = Object.values(SPLITS).flat().map((widths) => {
    const isEqual = Math.max(...widths) - Math.min(...widths) <= 1;
    const key = isEqual ? widths.map(() => 0).join(":") : widths.join(":");
    const set = () => {
      context.set(field, resize(context.get(field), widths, isEqual));
      context.refresh();
    };
    const label = widths.map((width) => `${width}%`).join(" / ");
    return h("button", { class: "bp-split", type: "button", title: label, "aria-label": label, "aria-pressed": String(key === current), "data-path": `split-${key}`, on: { click: set } },
      widths.map((width) => h("i", { style: { flexGrow: String(width) } })));
  });
  return h("fieldset", { class: "bp-field" }, h("legend", { class: "form-label", text: texts.fields.columns }), h("div", { class: "bp-splits" }, options));
}

// Return the columns with other widths; the blocks of a column that goes away move to the one before.
function resize(columns, widths, isEqual) {
  const kept = columns.slice(0, widths.length).map((column) => ({ blocks: [...(column.blocks || [])] }));
  while (kept.length < widths.length) kept.push({ blocks: [] });
  for (const column of columns.slice(widths.length)) kept.at(-1).blocks.push(...(column.blocks || []));
  if (!isEqual) kept.forEach((column, place) => Object.assign(column, { width: widths[place] }));
  return kept;
}

// Who gets the block: everyone, or those clients for whom a comparison holds.
export function drawCondition(context) {
  const when = context.get({ name: "when" });
  const put = (value, isNew) => {
    context.set({ name: "when" }, value);
    if (isNew) context.refresh();
  };
  const part = (name) => ({ ...context, pathOf: () => [...context.pathOf({ name: "when" }), name], problemOf: () => context.problemAt([...context.pathOf({ name: "when" }), name]) });
  const fields = drawSelect({
    ...part("field"),
    get: () => (when ? when.field : ""),
    set: (_field, value) => put(value ? { op: "equals", value: "", ...when, field: value } : null, true),
  }, { name: "when.field" }, [["", texts.everyone], ...kit.conditionFields]);
  if (!when) return fields;
  const operators = drawSelect({
    ...part("op"),
    get: () => when.op,
    set: (_field, op) => put(kit.operatorsWithoutValue.includes(op) ? { field: when.field, op } : { value: "", ...when, op }, true),
  }, { name: "when.op" }, Object.entries(texts.operators));
  if (kit.operatorsWithoutValue.includes(when.op)) return h("div", {}, fields, operators);
  const input = h("input", { class: "form-control form-control-sm", type: "text", autocomplete: "off", maxlength: 200, value: when.value || "" });
  input.addEventListener("input", () => put({ ...context.get({ name: "when" }), value: input.value }, false));
  return h("div", {}, fields, operators, drawField(part("value"), { name: "when.value" }, input));
}

Object.assign(CONTROLS, { picture: drawPicture, links: drawLinks, columns: drawColumns });
