// Start the editor of articles. Without scripts, the page is an ordinary form.
import { form, readFields } from "./form.js";
import { startCover } from "./cover.js";
import { startDrafts } from "./drafts.js";
import { showInFrame } from "./frames.js";
import { startModes } from "./modes.js";
import { handleText } from "./open-text.js";
import { startPictures, uploadPictures } from "./pictures.js";
import { startSource } from "./source.js";
import { showTools, startToolbar } from "./toolbar.js";

const PAUSE = 450; // milliseconds after the last key
const PREVIEWED = "title, language, body";

const screen = document.querySelector("#preview .preview-screen");
let timer = 0;

function schedulePreview(pause) {
  clearTimeout(timer);
  timer = setTimeout(() => showInFrame(screen, form.dataset.preview, readFields()), pause);
}

startSource();
startPictures();
startCover();
handleText({ onSelection: showTools, onFiles: uploadPictures });
startToolbar();
startModes();
startDrafts();

form.addEventListener("input", (event) => {
  if (PREVIEWED.split(", ").includes(event.target.name) || event.target.dataset.mode) schedulePreview(PAUSE);
});
schedulePreview(0);
form.dataset.ready = "";
