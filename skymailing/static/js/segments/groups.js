// Build groups of conditions, and read them back as JSON.
import { announceChange, create, createButton, createSelect, texts } from "./form.js";
import { makeCondition } from "./conditions.js";
import { writeGroup } from "./tree.js";

// Return a group; only the top group, which has no `onRemove`, can contain groups.
export function makeGroup({ rule, items }, onRemove) {
  const rules = onRemove ? ["all", "any", "none"] : ["all", "any"];
  const select = createSelect(texts.rule, rules.map((name) => [name, texts[name]]), rule);
  const list = create("ul", { className: "condition-list" });
  const head = create("div", { className: "condition-rule" }, ...(onRemove ? [] : [texts.clients]), select);
  const buttons = create("div", { className: "condition-buttons" });
  const element = create("div", { className: "condition-group" }, head, list, buttons);

  // Remove an item, and move the focus from its button to the group's first button.
  function remove(item) {
    item.remove();
    buttons.querySelector("button").focus();
  }

  function add(item) {
    if (item.items) {
      const holder = create("li");
      holder.append(makeGroup(item, () => remove(holder)));
      list.append(holder);
    } else {
      list.append(makeCondition(item.leaf, remove));
    }
    return list.lastElementChild;
  }

  function addNew(item) {
    const added = add(item);
    announceChange();
    (added.readLeaf ? added : added.querySelector(".condition")).focusField();
  }

  items.forEach(add);
  buttons.append(createButton(`+ ${texts.add}`, "", () => addNew({})));
  if (onRemove) {
    head.append(createButton("✕", texts.removeGroup, () => {
      onRemove();
      announceChange();
    }));
  } else {
    buttons.append(createButton(`+ ${texts.addGroup}`, "", () => addNew({ rule: "any", items: [{}, {}] })));
  }
  element.readGroup = (rows, withIncomplete) => readGroup(select.value, list, rows, withIncomplete);
  return element;
}

// Return a group as JSON, or null if it is empty; add its conditions' rows to `rows`.
function readGroup(rule, list, rows, withIncomplete) {
  const nodes = [];
  for (const item of list.children) {
    if (item.readLeaf) {
      const { isIncomplete, ...leaf } = item.readLeaf();
      if (isIncomplete && !withIncomplete) continue;
      rows.push(item);
      nodes.push(leaf);
    } else {
      const node = item.firstElementChild.readGroup(rows, withIncomplete);
      if (node) nodes.push(node);
    }
  }
  return nodes.length ? writeGroup(rule, nodes) : null;
}
