// Continue a letter of blocks as HTML. Blocks cannot be made from HTML, so the author is asked first; the HTML becomes
// a draft, and until it is saved, the blocks can be restored.
import { texts } from "./block-texts.js";
import { confirmLoss } from "./dialogs.js";
import { flushDraft, stopDrafts } from "./drafts.js";
import { form, readFields, texts as shared } from "./form.js";
import { showNotice } from "./notice.js";

async function post(url, fields) {
  const response = await fetch(url, { method: "POST", body: fields });
  if (response.redirected) throw new Error(shared.signedOut);
  if (response.status === 429) throw new Error(shared.busy);
  const result = await response.json();
  if (!response.ok) throw new Error(result.problem || shared.failed);
  return result;
}

async function convert() {
  if (!(await confirmLoss(texts.toHtml, []))) return;
  try {
    const fields = readFields();
    fields.set("to", "html");
    const { body } = await post(form.dataset.convert, fields);
    const { draft } = await flushDraft({ source_format: "", source: "", format: "html", body });
    stopDrafts();
    location.assign(form.dataset.message ? location.pathname : `${form.dataset.new}?draft=${draft}`);
  } catch (error) {
    showNotice(error.message);
  }
}

export function startConvert() {
  form.querySelector('[data-act="to-html"]').addEventListener("click", convert);
}
