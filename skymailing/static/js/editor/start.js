// Start the editor. Without scripts, the page is an ordinary form.
// Imports are relative: the page loads this file under a versioned folder, and they stay inside it.
import { loadRest } from "./later.js";
import { startModes } from "./modes.js";
import { startSource } from "./source.js";

startSource();
startModes();
loadRest(async () => (await import("./text-tools.js")).startTools());
