// The types of blocks in the editor: icon, initial fields, the controls of the panel, and a short summary.
// The server describes the fields in block_types.py.
import { kit } from "./block-design.js";
import { texts } from "./block-texts.js";

const line = (name, options = {}) => ({ name, kind: "line", values: true, ...options });
const area = (name, options = {}) => ({ name, kind: "area", values: true, ...options });
const url = (name, options = {}) => ({ name, kind: "url", values: true, ...options });
const number = (name, least, most, unit = "px") => ({ name, kind: "number", least, most, unit });
const color = (name, fallback) => ({ name, kind: "color", fallback });
const flag = (name, options = {}) => ({ name, kind: "flag", ...options });
const choice = (name, values, options = {}) => ({ name, kind: "choice", values, ...options });

const picture = [
  { name: "src", kind: "picture" },
  line("alt", { values: false, hiddenBy: "is_decorative", limit: 300 }),
];
const buttonColors = [color("color", "button"), color("text_color", "buttonText")];

export const TYPES = {
  text: { icon: "text-left", fields: [{ name: "delta", kind: "text" }], sum: (block) => readDelta(block.delta) },
  heading: {
    icon: "type-h1",
    fields: [line("text", { limit: 500 }), choice("level", [1, 2, 3])],
    sum: (block) => block.text,
  },
  picture: {
    icon: "image",
    fields: [...picture, flag("is_decorative", { refreshes: true }), url("link"), number("width", 5, 100, "%"), number("radius", 0, 60)],
    sum: (block) => block.alt,
  },
  button: {
    icon: "menu-button-wide",
    fields: [line("text", { limit: 100 }), url("url"), ...buttonColors, number("radius", 0, 40), flag("is_full_width")],
    sum: (block) => block.text,
  },
  columns: {
    icon: "layout-three-columns",
    start: () => ({ columns: [{ blocks: [] }, { blocks: [] }] }),
    fields: [{ name: "columns", kind: "columns" }, number("gap", 0, 60), choice("vertical", ["top", "middle"]), flag("stacks")],
  },
  product: {
    icon: "bag",
    fields: [
      { name: "src", kind: "picture" }, line("alt", { values: false, limit: 300 }),
      choice("layout", ["top", "left"]), line("title", { limit: 500 }), area("text"), line("price", { limit: 100 }),
      line("old_price", { limit: 100 }), line("button", { limit: 100 }), url("url"), ...buttonColors,
    ],
    sum: (block) => block.title,
  },
  divider: {
    icon: "hr",
    fields: [choice("line", ["solid", "dashed", "dotted"]), color("color", "line"), number("thickness", 1, 10), number("width", 10, 100, "%")],
  },
  space: { icon: "distribute-vertical", fields: [number("height", 1, 200)] },
  logo: { icon: "award", fields: [number("width", 5, 100, "%"), url("link")], sum: () => kit.brand.name },
  social: {
    icon: "share",
    start: () => ({ links: kit.firstNetworks.map((network) => ({ network, url: "" })) }),
    fields: [{ name: "links", kind: "links" }, choice("shape", ["circles", "words"]), color("color", "link")],
  },
  footer: {
    icon: "card-text",
    start: () => ({ text: "{{ sender_name }}" }),
    fields: [area("text"), flag("has_preferences"), flag("has_browser_link")],
    sum: (block) => block.text,
  },
  unsubscribe: { icon: "person-x", fields: [line("text", { limit: 200 })], sum: (block) => block.text },
  content: { icon: "file-text", fields: [] },
  code: { icon: "code-slash", fields: [{ name: "html", kind: "code" }], sum: (block) => block.html },
};

// The controls that all blocks have.
export const STYLE_FIELDS = [
  choice("align", ["left", "center", "right"]),
  color("background", "card"),
  color("color", "text"),
  number("padding_top", 0, 120),
  number("padding_bottom", 0, 120),
  number("padding_side", 0, 80),
];

// Blocks on which some of these controls have no effect.
const WITHOUT = {
  space: ["align", "color", "padding_top", "padding_bottom", "padding_side"],
  divider: ["color"],
  columns: ["align"],
  code: ["align"],
};

export function styleFieldsOf(type) {
  return STYLE_FIELDS.filter(({ name }) => !(WITHOUT[type] || []).includes(name));
}

export const SETTING_FIELDS = [
  { name: "font", kind: "fonts" },
  number("text_size", 13, 22),
  color("background", "background"),
  color("card", "card"),
  color("text", "text"),
  color("link", "link"),
  color("button", "button"),
  number("width", 480, 700),
  number("radius", 0, 40),
];

export function readDelta(delta) {
  return ((delta && delta.ops) || [])
    .map(({ insert }) => (typeof insert === "string" ? insert : insert.placeholder || " "))
    .join("").trim();
}

export function nameOf(type) {
  return texts.types[type] || type;
}

// Return a few words by which the author recognizes a block.
export function sumUp(block) {
  const type = TYPES[block.type];
  const words = type && type.sum ? (type.sum(block) || "").replace(/\s+/g, " ").trim() : "";
  const name = nameOf(block.type);
  return words ? `${name}: ${words.length > 60 ? `${words.slice(0, 60)}…` : words}` : name;
}

export function startBlock(type) {
  return { type, ...(TYPES[type].start ? TYPES[type].start() : {}) };
}
