// The colours and the font of the letter as palette.py chooses them: its own, else those of the brand, else ours.
import { getSetting, kit } from "./block-design.js";

const LIGHT = "#ffffff", DARK = "#17212b";

function measureLuminance(color) {
  const [red, green, blue] = [1, 3, 5].map((start) => {
    const share = parseInt(color.slice(start, start + 2), 16) / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

export function measureContrast(one, other) {
  const [darker, lighter] = [measureLuminance(one), measureLuminance(other)].sort((a, b) => a - b);
  return (lighter + 0.05) / (darker + 0.05);
}

// Return the colour, white or dark, in which text on `color` has more contrast.
export function chooseTextColor(color) {
  return measureContrast(DARK, color) > measureContrast(LIGHT, color) ? DARK : LIGHT;
}

export function isLight(color) {
  return chooseTextColor(color) !== LIGHT;
}

export function choosePalette() {
  const { colors, brand, fonts } = kit;
  const card = getSetting("card") || colors.card;
  const readable = (found, otherwise) => found.find((color) => color && measureContrast(color, card) >= kit.readable) || otherwise;
  const text = getSetting("text") || readable([brand.text], isLight(card) ? colors.text : colors.darkText);
  const accent = brand.color || colors.accent;
  const button = getSetting("button") || brand.button || accent;
  return {
    background: getSetting("background") || brand.background || colors.background,
    card,
    text,
    link: getSetting("link") || readable([brand.link, accent], text),
    button,
    buttonText: chooseTextColor(button),
    muted: isLight(card) ? colors.muted : colors.darkMuted,
    line: isLight(card) ? colors.line : colors.darkLine,
    font: fonts[getSetting("font") || brand.font] || fonts.sans,
    size: getSetting("text_size"),
  };
}

// Return the palette of a block with colours of its own, in which its text is readable.
export function adaptPalette(palette, { background, color }) {
  if (!background && !color) return palette;
  const text = color || chooseTextColor(background);
  return { ...palette, text, muted: text, link: background ? text : palette.link };
}
