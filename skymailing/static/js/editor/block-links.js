// The control for social links: a network and a URL for each.
import { completeUrl, CONTROLS } from "./block-controls.js";
import { kit } from "./block-design.js";
import { fill, texts } from "./block-texts.js";
import { h, icon } from "./dom.js";

const MAX_LINKS = 12;

function drawNetwork(link, place, change) {
  const options = Object.entries(kit.networks).map(([key, { name }]) => (
    h("option", { value: key, text: texts.networks[key] || name })
  ));
  const label = fill(texts.networkLabel, { number: place + 1 });
  const network = h("select", { class: "form-select form-select-sm", "aria-label": label }, options);
  network.value = link.network;
  network.addEventListener("change", () => change("network", network.value));
  return network;
}

function drawUrl(link, place, problem, change) {
  const url = h("input", {
    class: `form-control form-control-sm${problem ? " is-invalid" : ""}`,
    type: "text",
    inputmode: "url",
    autocomplete: "off",
    value: link.url,
    placeholder: link.network === "email" ? "mailto:" : "https://",
    "aria-label": fill(texts.networkUrl, { number: place + 1 }),
    "aria-invalid": problem ? "true" : null,
    "data-path": `links/${place}`,
  });
  url.addEventListener("input", () => change("url", completeUrl(url.value)));
  url.addEventListener("change", () => {
    url.value = completeUrl(url.value);
  });
  return url;
}

function drawRow(context, field, link, place, put) {
  const change = (name, value) => context.set(field, context.get(field).map((old, at) => (
    at === place ? { ...old, [name]: value } : old
  )));
  const problem = context.problemAt([...context.pathOf(field), String(place), "url"]);
  const remove = h("button", {
    class: "tool",
    type: "button",
    title: texts.removeLink,
    "aria-label": `${texts.removeLink} ${place + 1}`,
    on: { click: () => put(context.get(field).filter((_link, at) => at !== place)) },
  }, icon("x-lg"));
  const error = problem ? h("p", { class: "field-errors", text: problem }) : null;
  return h("li", {}, drawNetwork(link, place, change), remove, drawUrl(link, place, problem, change), error);
}

function drawLinks(context, field) {
  const links = context.get(field);
  const put = (list) => {
    context.set(field, list);
    context.refresh();
  };
  const rows = links.map((link, place) => drawRow(context, field, link, place, put));
  const add = h("button", {
    class: "btn btn-outline btn-sm",
    type: "button",
    "data-path": "add-link",
    on: { click: () => put([...context.get(field), { network: "website", url: "" }]) },
  }, icon("plus-lg"), texts.addLink);
  return h("div", { class: "bp-field" }, h("ol", { class: "bp-links" }, rows), links.length < MAX_LINKS ? add : null);
}

CONTROLS.links = drawLinks;
