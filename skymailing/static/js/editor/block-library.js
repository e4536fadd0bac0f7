// What can be added: the types of blocks, and the blocks that the author has saved under a name.
import { announceAction } from "./block-actions.js";
import { kit } from "./block-design.js";
import { nameOf, startBlock, TYPES } from "./block-types.js";
import { fill, texts } from "./block-texts.js";
import { ask } from "./dialogs.js";
import { h, icon } from "./dom.js";
import { createButton } from "./notice.js";
import { csrfToken, form, texts as shared } from "./form.js";

const palette = form.querySelector(".bl-types");
const shelf = form.querySelector(".bl-saved");
const status = form.querySelector(".bl-status");
let saved = []; // blocks of the author: id, name, block

function drawItem(type, name, data) {
  const symbol = TYPES[type] ? TYPES[type].icon : "bookmark";
  const button = h("button", { class: "bl-item", type: "button" }, icon(symbol), h("span", { text: name }));
  return h("li", { "data-type": type, ...data }, button);
}

function drawSaved() {
  shelf.replaceChildren(...saved.map(({ id, name, block }) => {
    const item = drawItem(block.type, name, { "data-saved": String(id) });
    const label = fill(texts.deleteSaved, { name });
    item.append(h("button", {
      class: "tool bl-delete", type: "button", title: label, "aria-label": label, "data-delete": String(id),
    }, icon("trash")));
    return item;
  }));
  shelf.hidden = !saved.length;
  shelf.previousElementSibling.hidden = !saved.length;
}

async function request(url, fields) {
  const options = fields ? { method: "POST", body: new URLSearchParams({ csrf_token: csrfToken(), ...fields }) } : {};
  const response = await fetch(url, options);
  if (response.redirected) throw new Error(shared.signedOut);
  if (response.status === 204) return null;
  const result = await response.json();
  if (!response.ok) throw new Error(result.problem || texts.notSaved);
  return result;
}

async function loadSaved() {
  try {
    saved = await request(kit.urls.saved);
    drawSaved();
  } catch {
    // Without a connection there are only the types.
  }
}

// Ask for a name and save a block under it.
export async function saveBlock(block) {
  const answers = await ask("ask-name", { name: "" });
  const name = answers && answers.name.trim();
  if (!name) return;
  try {
    saved.push(await request(kit.urls.saved, { name, block: JSON.stringify(block) }));
    saved.sort((one, other) => one.name.localeCompare(other.name));
    drawSaved();
    report(fill(texts.blockSaved, { name }));
  } catch (error) {
    report(error.message);
  }
}

async function deleteSaved(id) {
  const item = saved.find((one) => String(one.id) === id);
  try {
    await request(kit.urls.deleteSaved.replace("/0/", `/${id}/`), {});
    saved = saved.filter((one) => one !== item);
    drawSaved();
    report(fill(texts.savedDeleted, { name: item.name }), { label: texts.undoDelete, act: () => putBack(item) });
    status.querySelector("button").focus();
  } catch (error) {
    report(error.message);
  }
}

async function putBack({ name, block }) {
  saved.push(await request(kit.urls.saved, { name, block: JSON.stringify(block) }));
  drawSaved();
  report("");
}

function report(text, action = null) {
  status.replaceChildren(text);
  status.hidden = !text;
  if (action) status.append(" ", createButton(action.label, action.act));
  announceAction(text);
}

// Return the block that an item of the palette or of the shelf stands for.
export function blockOf({ dataset }) {
  if (!dataset.saved) return startBlock(dataset.type);
  return saved.find((one) => String(one.id) === dataset.saved).block;
}

export function focusPalette() {
  palette.querySelector("button").focus();
}

export function startLibrary({ onChoose }) {
  palette.replaceChildren(...Object.keys(TYPES).filter((type) => kit.types[type]).map((type) => drawItem(type, nameOf(type), {})));
  for (const list of [palette, shelf]) {
    list.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (!button) return;
      if (button.dataset.delete) deleteSaved(button.dataset.delete);
      else onChoose(blockOf(button.closest("li")), event);
    });
  }
  loadSaved();
}
