// Upload pictures that were chosen, dropped or pasted, and insert them.
import { ask } from "./dialogs.js";
import { body, form, insertIntoField, mode, texts } from "./form.js";
import { displayUrl } from "./letter-text.js";
import { showNotice } from "./notice.js";
import { findPlace, getQuill } from "./open-text.js";
import { upload } from "./uploads.js";

const input = form.querySelector(".picture-file");

function insert(picture, alt) {
  if (mode === "writing") {
    const quill = getQuill();
    const at = findPlace().index;
    quill.insertEmbed(at, "image", picture.url, "user");
    quill.formatText(at, 1, { alt, width: String(picture.shown) }, "user");
    quill.setSelection(at + 1, "user");
  } else if (mode === "markdown") {
    insertIntoField(body, `![${alt.replace(/[[\]]/g, "")}](${picture.url})`);
  } else {
    const text = alt.replace(/&/g, "&amp;").replace(/"/g, "&quot;").replace(/</g, "&lt;");
    insertIntoField(body, mode === "mjml"
      ? `<mj-image src="${picture.url}" alt="${text}" width="${picture.shown}px" />`
      : `<img src="${picture.url}" alt="${text}" width="${picture.shown}" style="max-width:100%;height:auto">`);
  }
}

// Upload the files one after another, because the author is asked to describe each.
export async function uploadPictures(files) {
  if (mode === "text") {
    showNotice(texts.noPicturesInText);
    return;
  }
  try {
    for (const file of [...files]) {
      showNotice(texts.uploading);
      const picture = await upload(file);
      showNotice("");
      document.querySelector("#ask-alt .ask-picture").src = displayUrl(picture.url);
      const answers = await ask("ask-alt");
      if (answers) insert(picture, answers.alt.trim());
    }
  } catch (error) {
    showNotice(error.message || texts.uploadFailed);
  }
}

export function startPictures() {
  form.querySelector('[data-tool="picture"]').addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    const files = [...input.files];
    input.value = "";
    uploadPictures(files);
  });
  // For the textarea; in writing mode Quill does the same.
  for (const name of ["paste", "drop"]) {
    body.addEventListener(name, (event) => {
      const transfer = event.clipboardData || event.dataTransfer;
      const files = [...((transfer && transfer.files) || [])].filter((file) => file.type.startsWith("image/"));
      if (!files.length) return;
      event.preventDefault();
      uploadPictures(files);
    });
  }
}
