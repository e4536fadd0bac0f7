// The fields for the value of a condition. Each control has `elements`, and `read`, which returns the value, or
// undefined while it is incomplete.
import { create, createSelect, form, texts, vocabulary } from "./form.js";

const MAX_LISTED = 200;
const offered = new Map(); // the ID of each field's datalist

// Offer the values that the owner's clients have; they are loaded once per field.
function offerValues(input, field) {
  if (!field.values) return;
  if (!offered.has(field.key)) {
    const list = create("datalist", { id: `values-${offered.size}` });
    offered.set(field.key, list.id);
    document.body.append(list);
    loadValues(field.key, list);
  }
  input.setAttribute("list", offered.get(field.key));
}

async function loadValues(key, list) {
  try {
    const response = await fetch(`${form.dataset.values}?field=${encodeURIComponent(key)}`);
    if (response.ok) list.append(...(await response.json()).map((value) => create("option", { value })));
  } catch {
    // Without a connection, nothing is offered; any value can still be typed.
  }
}

function createInput(properties, value) {
  const input = create("input", { className: "form-control", autocomplete: "off", ...properties });
  input.setAttribute("aria-label", texts.value);
  if (value !== undefined && value !== null) input.value = value;
  return input;
}

function makeText(value, field) {
  const input = createInput({ type: "text", maxLength: 500 }, Array.isArray(value) ? value[0] : value);
  offerValues(input, field);
  return { elements: [input], read: () => input.value.trim() || undefined };
}

// One field per value; another empty one appears when the last is filled in.
function makeList(value, field) {
  const box = create("div", { className: "condition-value" });
  const inputs = () => [...box.querySelectorAll("input")];
  function add(text) {
    const input = createInput({ type: "text", maxLength: 500 }, text);
    offerValues(input, field);
    if (box.childElementCount) box.append(texts.or);
    box.append(input);
  }
  for (const text of Array.isArray(value) ? value : [value || ""]) add(text);
  const grow = () => {
    const all = inputs();
    if (all.at(-1).value.trim() && all.length < MAX_LISTED) add("");
  };
  grow();
  box.addEventListener("input", grow);
  const read = () => {
    const values = inputs().map((input) => input.value.trim()).filter(Boolean);
    return values.length ? values : undefined;
  };
  return { elements: [box], read };
}

function readNumber(input) {
  return Number.isFinite(input.valueAsNumber) ? input.valueAsNumber : undefined;
}

function makeNumber(value) {
  const input = createInput({ type: "number", step: "any" }, value);
  return { elements: [input], read: () => readNumber(input) };
}

function makeDate(value) {
  const input = createInput({ type: "date" }, value);
  return { elements: [input], read: () => input.value || undefined };
}

function makeRange(make) {
  return (value) => {
    const [low, high] = [0, 1].map((place) => make(Array.isArray(value) ? value[place] : undefined));
    const read = () => (low.read() === undefined || high.read() === undefined ? undefined : [low.read(), high.read()]);
    return { elements: [...low.elements, texts.and, ...high.elements], read };
  };
}

function makeDays(value) {
  const input = createInput({ type: "number", min: 0, step: 1, inputMode: "numeric" }, value ?? 30);
  input.classList.add("is-short");
  const read = () => (Number.isInteger(input.valueAsNumber) ? input.valueAsNumber : undefined);
  return { elements: [input, texts.days], read };
}

function makeChoice(options) {
  const known = [["", texts.choose], ...options];
  return (value) => {
    // Names of tags and topics are case-insensitive.
    const match = options.find(([key]) => String(key).toLowerCase() === String(value).toLowerCase());
    const select = createSelect(texts.value, known, match ? match[0] : value);
    return { elements: [select], read: () => select.value || undefined };
  };
}

function makeYesNo(value) {
  const select = createSelect(texts.value, [["yes", texts.yes], ["no", texts.no]], value === false ? "no" : "yes");
  return { elements: [select], read: () => select.value === "yes" };
}

// A mailing by name, or the last mailings, or those of the last days.
function makeMailings(value) {
  const isRecent = value && typeof value === "object";
  const unit = isRecent ? Object.keys(value)[0] : value;
  const options = [["last", texts.last], ["days", texts.lastDays], ...vocabulary.mailings];
  const select = createSelect(texts.value, options, unit ?? "last");
  const number = createInput({ type: "number", min: 1, step: 1 }, isRecent ? value[unit] : 1);
  number.classList.add("is-short");
  const noun = create("span");
  const show = () => {
    const isNumbered = ["last", "days"].includes(select.value);
    number.hidden = noun.hidden = !isNumbered;
    noun.textContent = select.value === "days" ? texts.days : texts.mailings;
  };
  select.addEventListener("change", show);
  show();
  const read = () => {
    if (number.hidden) return Number(select.value);
    return Number.isInteger(number.valueAsNumber) ? { [select.value]: number.valueAsNumber } : undefined;
  };
  return { elements: [select, number, noun], read };
}

const makers = {
  text: makeText,
  list: makeList,
  number: makeNumber,
  numbers: makeRange(makeNumber),
  date: makeDate,
  dates: makeRange(makeDate),
  days: makeDays,
  yes_no: makeYesNo,
  tag: makeChoice(vocabulary.tags.map((name) => [name, name])),
  form: makeChoice(vocabulary.forms),
  topic: makeChoice(vocabulary.topics.map((name) => [name, name])),
  state: makeChoice(vocabulary.states),
  activity: makeChoice(vocabulary.activities),
  mailings: makeMailings,
};

// Return the control for a kind of input; comparisons such as "is empty" have none.
export function makeControl(input, value, field) {
  return input === "nothing" ? null : makers[input](value, field);
}
