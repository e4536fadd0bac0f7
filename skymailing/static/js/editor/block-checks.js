// What readers of the letter may have trouble with, as the server finds it: a list that leads to the blocks.
import { findPointed, locate } from "./block-design.js";
import { nameOf } from "./block-types.js";
import { fill, texts } from "./block-texts.js";
import { h, icon } from "./dom.js";
import { form } from "./form.js";

const box = form.querySelector(".be-checks");
const list = box.querySelector("ul");

function drawFinding(finding, findWay) {
  const way = findWay(finding);
  if (!way) return h("li", {}, h("span", { text: finding.text }));
  const { block } = locate(findPointed(finding.pointer).id);
  return h("li", {}, h("button", { class: "be-check", type: "button", on: { click: way.act } },
    h("strong", { text: nameOf(block.type) }), h("span", { text: finding.text })));
}

// `findWay` returns what leads to the block of a finding, or null.
export function showChecks(findings, findWay) {
  box.hidden = !findings.length;
  box.querySelector("summary").replaceChildren(icon("exclamation-triangle"), fill(texts.checks, { count: findings.length }));
  list.replaceChildren(...findings.map((finding) => drawFinding(finding, findWay)));
}
