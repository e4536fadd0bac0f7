// Start the editor. Without scripts, the page is an ordinary form.
// Imports are relative: the page loads this file under a versioned folder, and they stay inside it.
import { body, form, mode, texts } from "./form.js";
import { startDrafts } from "./drafts.js";
import { startModes } from "./modes.js";
import { startPictures, uploadPictures } from "./pictures.js";
import { startPreview } from "./preview.js";
import { showLine, startSource } from "./source.js";
import { showTools, startToolbar } from "./toolbar.js";
import { startValues } from "./values.js";
import { isBlank, startWriting } from "./writing.js";

// Errors lead to their line in a source; writing mode has no lines.
function findWay({ line, in_subject: isInSubject }) {
  if (!line || isInSubject || mode === "writing") return null;
  return { label: texts.line, act: () => showLine(line) };
}

startSource();
startValues();
startPictures();
startWriting({ onSelection: showTools, onFiles: uploadPictures });
startToolbar();
startModes();
startPreview({ findWay });
startDrafts();

form.addEventListener("submit", () => {
  // A design without any text is not a message: send an empty body, and the server asks for the text.
  if (mode === "writing" && isBlank()) body.value = "";
}, true);
