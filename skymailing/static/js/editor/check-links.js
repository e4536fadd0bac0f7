// Check the links of the typed text; js/links.js updates the result.
import { form, readFields } from "./form.js";

const button = document.querySelector("[data-check-links]");
const place = document.querySelector("[data-link-result]");

async function check(event) {
  event.preventDefault();
  button.disabled = true;
  const fields = readFields();
  if (form.dataset.message) fields.set("message_id", form.dataset.message);
  fields.set("part", "1");
  try {
    const response = await fetch(button.formAction, { method: "POST", body: fields });
    if (response.redirected || !response.ok) throw new Error(button.dataset.failed);
    place.innerHTML = await response.text();
    place.dispatchEvent(new CustomEvent("link-check", { bubbles: true }));
  } catch {
    place.textContent = button.dataset.failed;
  } finally {
    button.disabled = false;
  }
}

button.addEventListener("click", check);
