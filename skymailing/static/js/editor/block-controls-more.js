// Controls of several parts: pictures, columns, conditions.
import { CONTROLS, drawField, drawSelect } from "./block-controls.js";
import { kit } from "./block-design.js";
import { texts } from "./block-texts.js";
import { displayUrl } from "./letter-text.js";
import { h, icon } from "./dom.js";
import { texts as shared } from "./form.js";
import { upload } from "./uploads.js";

const TYPES = "image/jpeg,image/png,image/webp";
const SPLITS = { 2: [[50, 50], [34, 66], [66, 34]], 3: [[33, 34, 33], [25, 50, 25]] };

// A picture: shown small, with a button that uploads another one; its address can be typed as well.
function drawPicture(context, field) {
  const src = context.get(field);
  const file = h("input", { type: "file", accept: TYPES, hidden: true, "aria-label": texts.choosePicture });
  const status = h("p", { class: "form-text", role: "status" });
  const button = h("button", {
    class: "btn btn-outline btn-sm", type: "button", "data-path": "upload", on: { click: () => file.click() },
  }, icon("image"), src ? texts.replacePicture : texts.choosePicture);
  file.addEventListener("change", () => {
    if (file.files.length) uploadInto(context, field, file.files[0], status);
  });
  const shown = src ? h("img", { class: "bp-picture", src: displayUrl(src), alt: "" }) : null;
  const address = CONTROLS.url(context, { ...field, kind: "url", values: true });
  const summary = h("summary", { text: texts.pictureByAddress });
  const more = h("details", { open: Boolean(context.problemOf(field)) }, summary, address);
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
    return h("button", {
      class: "bp-split",
      type: "button",
      title: label,
      "aria-label": label,
      "aria-pressed": String(key === current),
      "data-path": `split-${key}`,
      on: { click: set },
    }, widths.map((width) => h("i", { style: { flexGrow: String(width) } })));
  });
  const legend = h("legend", { class: "form-label", text: texts.fields.columns });
  return h("fieldset", { class: "bp-field" }, legend, h("div", { class: "bp-splits" }, options));
}

// Return the columns with other widths; the blocks of a column that goes away move to the one before.
function resize(columns, widths, isEqual) {
  const kept = columns.slice(0, widths.length).map((column) => ({ blocks: [...(column.blocks || [])] }));
  while (kept.length < widths.length) kept.push({ blocks: [] });
  for (const column of columns.slice(widths.length)) kept.at(-1).blocks.push(...(column.blocks || []));
  if (!isEqual) kept.forEach((column, place) => Object.assign(column, { width: widths[place] }));
  return kept;
}

const WHEN = { name: "when" };

// Return a context for one part of the condition, which `read` and `write` get and set.
function partOf(context, name, read, write) {
  const path = [...context.pathOf(WHEN), name];
  return {
    ...context,
    pathOf: () => path,
    problemOf: () => context.problemAt(path),
    get: read,
    set: (_field, value) => {
      context.set(WHEN, write(value));
      context.refresh();
    },
  };
}

// Return a condition on a field that has just been chosen; null without one.
function beginCondition(name, when) {
  const members = kit.memberships[name];
  if (members) return { field: name, op: "in", value: members[0][0] };
  const kept = when && !kit.memberships[when.field] ? when : { op: "equals", value: "" };
  return name ? { ...kept, field: name } : null;
}

// Whether the client has a tag, or is in a segment; one that no longer exists stays visible.
function drawMembership(context, when, members) {
  const options = members.some(([value]) => value === when.value) ? members : [[when.value, texts.missing], ...members];
  const operator = partOf(context, "op", () => when.op, (op) => ({ ...when, op }));
  const value = partOf(context, "value", () => when.value, (chosen) => ({ ...when, value: chosen }));
  return h("div", {},
    drawSelect(operator, { name: "when.op" }, Object.entries(texts.memberships[when.field])),
    drawSelect(value, { name: "when.value" }, options));
}

// Who gets the block: everyone, or those clients for whom a comparison holds.
export function drawCondition(context) {
  const when = context.get(WHEN);
  const needsValue = (op) => !kit.operatorsWithoutValue.includes(op);
  const field = partOf(context, "field", () => (when ? when.field : ""), (name) => beginCondition(name, when));
  const fields = drawSelect(field, { name: "when.field" }, [["", texts.everyone], ...kit.conditionFields]);
  if (!when) return fields;
  const members = kit.memberships[when.field];
  if (members) return h("div", {}, fields, drawMembership(context, when, members));
  const operator = partOf(context, "op", () => when.op, (op) => (
    needsValue(op) ? { value: "", ...when, op } : { field: when.field, op }
  ));
  const operators = drawSelect(operator, { name: "when.op" }, Object.entries(texts.operators));
  if (!needsValue(when.op)) return h("div", {}, fields, operators);
  const input = h("input", {
    class: "form-control form-control-sm", type: "text", autocomplete: "off", maxlength: 200, value: when.value || "",
  });
  input.addEventListener("input", () => context.set(WHEN, { ...context.get(WHEN), value: input.value }));
  return h("div", {}, fields, operators, drawField(partOf(context, "value"), { name: "when.value" }, input));
}

Object.assign(CONTROLS, { picture: drawPicture, columns: drawColumns });
