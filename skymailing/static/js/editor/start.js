// Start the editor. Without scripts, the page is an ordinary form.
// Imports are relative: the page loads this file under a versioned folder, and they stay inside it.
import { body, form, mode } from "./form.js";
import { startDrafts } from "./drafts.js";
import { startModes } from "./modes.js";
import { startPictures, uploadPictures } from "./pictures.js";
import { startPreview } from "./preview.js";
import { startSource } from "./source.js";
import { showTools, startToolbar } from "./toolbar.js";
import { startValues } from "./values.js";
import { isBlank, startWriting } from "./writing.js";

startSource();
startValues();
startPictures();
startWriting({ onSelection: showTools, onFiles: uploadPictures });
startToolbar();
startModes();
startPreview();
startDrafts();

form.addEventListener("submit", () => {
  // A design without any text is not a message: send an empty body, and the server asks for the text.
  if (mode === "writing" && isBlank()) body.value = "";
}, true);
