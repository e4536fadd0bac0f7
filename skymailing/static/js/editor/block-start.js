// Start the editor of a letter made of blocks: draw the letter, then load everything that edits it.
import { select, startCanvas } from "./block-canvas.js";
import { readDesign } from "./block-design.js";
import { loadRest, remember } from "./later.js";

const doNothing = () => {};
const isDrawn = readDesign();

if (isDrawn) {
  startCanvas({
    onOpen: (id, event) => {
      select(id);
      remember((handlers) => handlers.onOpen(id, event));
    },
    onAdd: (key, id) => remember((handlers) => handlers.onAdd(key, id)),
    onLeave: () => {
      select("");
      remember(doNothing);
    },
    onSelect: doNothing,
    onDraw: doNothing,
    drawBar: () => null,
  });
}
loadRest(async () => {
  const { startSource, startTools } = await import("./block-tools.js");
  return isDrawn ? startTools() : startSource();
});
