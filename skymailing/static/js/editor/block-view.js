// Draw blocks as readers will see them: like what block_html.py writes, but without its tables.
import { defaultsOf, getSetting, kit } from "./block-design.js";
import { chooseTextColor } from "./block-colors.js";
import { drawDelta, drawText, HEADINGS } from "./block-view-text.js";
import { texts } from "./block-texts.js";
import { h, icon } from "./dom.js";
import { form } from "./form.js";
import { displayUrl } from "./letter-text.js";

const px = (number) => `${number}px`;

// Draw the content of a block. `place` has the palette and the style of the block.
export function drawContent(block, place) {
  const draw = DRAW[block.type];
  if (!draw) return hint("question-circle", block.type);
  return draw({ ...defaultsOf(block.type), ...block }, place);
}

// What an empty block shows in the editor; readers see nothing.
function hint(symbol, text) {
  return h("div", { class: "bv-hint" }, icon(symbol), h("span", { text }));
}

function words(language) {
  return kit.words[language] || kit.words.en;
}

function letterWords() {
  return words(form.elements.language ? form.elements.language.value : "en");
}

function alignBox(align) {
  return { marginInline: align === "center" ? "auto" : align === "right" ? "auto 0" : "0 auto" };
}

function drawHeading(block, { palette }) {
  if (!block.text.trim()) return hint("type-h1", texts.hints.heading);
  const style = { fontSize: px(Math.round(palette.size * HEADINGS[block.level])) };
  return h("div", { class: "bv-heading", style }, drawText(block.text));
}

function drawImage(src, alt, { width = "100%", radius = 0, align = "left" } = {}) {
  const style = { width, borderRadius: px(radius), ...alignBox(align) };
  return h("img", { class: "bv-picture", src: displayUrl(src), alt, style, draggable: "false" });
}

function drawPicture(block, { style }) {
  if (!block.src) return hint("image", texts.hints.picture);
  return drawImage(block.src, block.is_decorative ? "" : block.alt, { width: `${block.width}%`, radius: block.radius, align: style.align });
}

function drawLogo(block, { palette, style }) {
  const { logo, name } = kit.brand;
  if (logo) {
    return h("img", { class: "bv-picture", src: logo, alt: name, draggable: "false", style: { width: `${block.width}%`, ...alignBox(style.align) } });
  }
  if (!name) return hint("award", texts.hints.logo);
  return h("span", { class: "bv-name", text: name, style: { fontSize: px(Math.round(palette.size * 1.25)) } });
}

function drawButton(text, block, { palette }, radius) {
  const background = block.color || palette.button;
  const color = block.text_color || (block.color ? chooseTextColor(block.color) : palette.buttonText);
  const style = {
    background, color, borderRadius: px(radius), fontSize: px(palette.size), display: block.is_full_width ? "block" : "inline-block",
  };
  return h("span", { class: "bv-button", style }, drawText(text));
}

function drawButtonBlock(block, place) {
  const button = drawButton(block.text || texts.types.button, block, place, block.radius);
  if (!block.text.trim()) button.classList.add("bv-faint");
  return button;
}

function drawDivider(block, { palette, style }) {
  const borderTop = `${block.thickness}px ${block.line} ${block.color || palette.line}`;
  return h("div", { style: { borderTop, width: `${block.width}%`, ...alignBox(style.align) } });
}

function drawSpace(block) {
  return h("div", { class: "bv-space", style: { height: px(block.height) } });
}

function drawSocial(block, { palette }) {
  const links = block.links.length ? block.links : kit.brand.links;
  if (!links.length) return hint("share", texts.hints.social);
  const isWords = block.shape === "words";
  return h("div", { class: isWords ? "bv-words" : "bv-circles" }, links.map(({ network, url }) => {
    const { name, letters, color } = kit.networks[network] || kit.networks.website;
    const faint = url ? "" : " bv-faint";
    const title = letterWords()[network] || name;
    if (isWords) return h("span", { class: `bv-link${faint}`, text: title, style: { color: block.color || palette.link } });
    const background = block.color || color;
    return h("span", { class: `bv-circle${faint}`, text: letters, style: { background, color: chooseTextColor(background) } });
  }));
}

function drawProduct(block, place) {
  const { palette } = place;
  const offer = h("div", { class: "bv-offer", style: { justifyItems: place.style.align } });
  if (block.title.trim()) {
    offer.append(h("div", { class: "bv-heading", style: { fontSize: px(Math.round(palette.size * HEADINGS[3])) } }, drawText(block.title)));
  } else {
    offer.append(h("div", { class: "bv-heading bv-faint", text: texts.hints.product }));
  }
  if (block.text.trim()) offer.append(h("div", {}, drawText(block.text)));
  if (block.price.trim() || block.old_price.trim()) {
    const price = h("strong", { style: { fontSize: px(Math.round(palette.size * 1.25)) } }, drawText(block.price));
    offer.append(h("div", {}, price, " ", h("s", { style: { color: palette.muted } }, drawText(block.old_price))));
  }
  if (block.button.trim()) offer.append(h("div", {}, drawButton(block.button, block, place, 6)));
  const picture = block.src ? drawImage(block.src, block.alt) : hint("image", texts.hints.picture);
  return h("div", { class: `bv-product bv-product-${block.layout}` }, h("div", { class: "bv-product-picture" }, picture), offer);
}

function drawCode(block) {
  if (!block.html.trim()) return hint("code-slash", texts.hints.code);
  const frame = h("iframe", { class: "bv-code", title: texts.types.code, tabindex: "-1", sandbox: "allow-same-origin" });
  // Only letters with a code block need this module.
  frame.addEventListener("load", async () => (await import("./block-html.js")).fillFrame(frame, block.html));
  return frame;
}

function smallStyle({ palette, style }) {
  return { fontSize: px(Math.round(palette.size * 0.85)), color: style.color || palette.muted };
}

function drawFooter(block, place) {
  const names = ["unsubscribe", ...(block.has_preferences ? ["preferences"] : []), ...(block.has_browser_link ? ["browser"] : [])];
  const links = names.flatMap((name, index) => [index ? " · " : null, h("u", { text: letterWords()[name] })]);
  return h("div", { class: "bv-small", style: smallStyle(place) }, block.text.trim() ? h("div", {}, drawText(block.text)) : null, h("div", { class: "bv-address", text: kit.brand.address }), h("div", {}, links));
}

function drawUnsubscribe(block, place) {
  const text = block.text.trim() || letterWords().unsubscribe;
  return h("div", { class: "bv-small", style: smallStyle(place) }, h("u", {}, drawText(text)));
}

function drawTextBlock(block, { palette }) {
  return drawDelta(block.delta, palette) || hint("text-left", texts.hints.text);
}

// The place of the message in a layout.
function drawMessage() {
  return hint("file-text", texts.hints.content);
}

const DRAW = {
  text: drawTextBlock,
  heading: drawHeading,
  picture: drawPicture,
  logo: drawLogo,
  button: drawButtonBlock,
  divider: drawDivider,
  space: drawSpace,
  social: drawSocial,
  product: drawProduct,
  code: drawCode,
  content: drawMessage,
  footer: drawFooter,
  unsubscribe: drawUnsubscribe,
};

// Give a block's box its spacing and colours.
export function styleBox(node, { style, palette }) {
  Object.assign(node.style, {
    padding: `${style.padding_top}px ${style.padding_side}px ${style.padding_bottom}px`,
    background: style.background || "",
    color: palette.text,
    textAlign: style.align,
  });
}

// Give the letter its colours, font and width.
export function styleLetter(ground, card, palette) {
  ground.style.background = palette.background;
  Object.assign(card.style, {
    background: palette.card,
    color: palette.text,
    font: `${palette.size}px/1.5 ${palette.font}`,
    maxWidth: px(getSetting("width")),
    borderRadius: px(getSetting("radius")),
  });
}
