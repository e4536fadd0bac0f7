// Start the editor of a message in MJML, or of a layout in HTML: a source with colours, the menu of client data, pictures, a preview.
import { form, setMode, texts } from "./form.js";
import { startDrafts } from "./drafts.js";
import { startPictures } from "./pictures.js";
import { startPreview } from "./preview.js";
import { paintSource, showLine, startSource } from "./source.js";
import { startValues } from "./values.js";

setMode("mjml");
form.dataset.mode = "mjml";
startSource();
startValues();
startPictures();
paintSource();
startPreview({
  findWay: ({ line, in_subject: isInSubject }) => (
    line && !isInSubject ? { label: texts.line, act: () => showLine(line) } : null
  ),
});
if (form.dataset.drafts) startDrafts();
