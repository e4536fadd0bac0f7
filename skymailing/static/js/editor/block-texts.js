// The texts of the block editor, in the language of the page.
import { form } from "./form.js";

export const texts = JSON.parse(form.dataset.blockTexts);

export function fill(text, values) {
  return text.replace(/\{(\w+)\}/g, (all, name) => (name in values ? values[name] : all));
}
