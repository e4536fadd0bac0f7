// One condition as a row: field, comparison and value.
import { announceChange, create, createButton, createSelect, texts, vocabulary } from "./form.js";
import { makeControl } from "./values.js";

const fields = new Map(vocabulary.groups.flatMap((group) => group.fields).map((field) => [field.key, field]));
const LISTS = ["text", "list"]; // the value of a text field can become the first value of a list, and back

function findField(key) {
  return fields.get(key) || { key, name: key.replace(/^attribute\./, ""), kind: "text", values: false };
}

function createFieldSelect(chosen) {
  const groups = vocabulary.groups.map((group) => (
    create("optgroup", { label: group.name }, ...group.fields.map((field) => new Option(field.name, field.key)))
  ));
  const select = create("select", { className: "form-select" }, ...groups);
  select.setAttribute("aria-label", texts.field);
  if (!fields.has(chosen)) select.append(new Option(texts.unknown.replace("{name}", findField(chosen).name), chosen));
  select.value = chosen;
  return select;
}

// Return the row of a condition. Its `readLeaf` returns the condition; while the value is missing, `value` is null.
export function makeCondition(leaf, onRemove) {
  const first = vocabulary.groups[0].fields[0].key;
  const field = createFieldSelect(leaf ? leaf.field : first);
  const value = create("div", { className: "condition-value" });
  let comparison = null, input = "", control = null;

  function showComparisons(op) {
    const known = vocabulary.comparisons[findField(field.value).kind];
    const select = createSelect(texts.comparison, known.map((item) => [item.op, item.label]), op);
    if (comparison) comparison.replaceWith(select);
    comparison = select;
    comparison.addEventListener("change", () => showValue(control ? control.read() : undefined));
  }

  function showValue(current, isNewField = false) {
    const chosen = findField(field.value);
    const known = vocabulary.comparisons[chosen.kind].find((item) => item.op === comparison.value);
    const wanted = known ? known.input : "text";
    const fits = wanted === input || (LISTS.includes(wanted) && LISTS.includes(input)) || !input;
    control = makeControl(wanted, fits && !isNewField ? current : undefined, chosen);
    input = wanted;
    value.replaceChildren(...(control ? control.elements : []));
  }

  const row = create("li", { className: "condition" });
  const remove = createButton("✕", texts.remove, () => {
    onRemove(row);
    announceChange();
  });
  showComparisons(leaf ? leaf.op : undefined);
  showValue(leaf ? leaf.value : undefined);
  field.addEventListener("change", () => {
    showComparisons();
    showValue(undefined, true);
  });
  row.append(create("div", { className: "condition-parts" }, field, comparison, value), remove);
  row.readLeaf = () => {
    const start = { field: field.value, op: comparison.value };
    if (!control) return start;
    const read = control.read();
    return read === undefined ? { ...start, value: null, isIncomplete: true } : { ...start, value: read };
  };
  row.focusField = () => field.focus();
  return row;
}
