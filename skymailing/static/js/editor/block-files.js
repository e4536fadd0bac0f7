// Pictures that are pasted or dropped into the letter become blocks.
import { addBlock, announceAction } from "./block-actions.js";
import { canvas } from "./block-canvas.js";
import { showNotice } from "./notice.js";
import { texts } from "./form.js";
import { upload } from "./uploads.js";

// Upload pictures one after another, each into a block after the selected one.
export async function addPictures(files) {
  try {
    for (const file of [...files].filter(({ type }) => type.startsWith("image/"))) {
      showNotice(texts.uploading);
      const { url } = await upload(file);
      addBlock({ type: "picture", src: url });
    }
    showNotice("");
  } catch (error) {
    showNotice(error.message || texts.uploadFailed);
    announceAction(error.message || texts.uploadFailed);
  }
}

export function startFiles() {
  canvas.addEventListener("dragover", (event) => {
    if (event.dataTransfer.types.includes("Files")) event.preventDefault();
  });
  canvas.addEventListener("drop", (event) => {
    if (!event.dataTransfer.files.length || event.defaultPrevented) return;
    event.preventDefault();
    addPictures(event.dataTransfer.files);
  });
}
