// What belongs to a text in the editor, and is not needed to show it: client data, images, the toolbar and the preview.
import { mode, texts } from "./form.js";
import { handleText } from "./open-text.js";
import { startPictures, uploadPictures } from "./pictures.js";
import { startPreview } from "./preview.js";
import { showLine } from "./source.js";
import { showTools, startToolbar } from "./toolbar.js";
import { startValues } from "./values.js";

// Errors lead to their line in a source; writing mode has no lines.
function findWay({ line, in_subject: isInSubject }) {
  if (!line || isInSubject || mode === "writing") return null;
  return { label: texts.line, act: () => showLine(line) };
}

export function startTools() {
  startValues();
  startPictures();
  startToolbar();
  handleText({ onSelection: showTools, onFiles: uploadPictures });
  startPreview({ findWay });
}
