// Start the editor of a message in MJML, or of a layout in HTML: a source with colours.
import { form, setMode } from "./form.js";
import { loadRest } from "./later.js";
import { paintSource, startSource } from "./source.js";

setMode("mjml");
form.dataset.mode = "mjml";
startSource();
paintSource();
loadRest(async () => (await import("./text-tools.js")).startTools());
