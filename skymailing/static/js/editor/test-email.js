// Send the typed text as a test email, and show the result next to the button.
import { form, readFields } from "./form.js";

const button = document.querySelector("[data-send-test]");
const result = document.querySelector(".test-result");

function readTest() {
  const fields = readFields();
  for (const box of document.querySelectorAll('.test-recipients input[name="to"]:checked')) fields.append("to", box.value);
  if (form.dataset.message) fields.set("message_id", form.dataset.message);
  const { client } = document.getElementById("preview").dataset;
  if (client) fields.set("client", client);
  fields.set("as_json", "1");
  return fields;
}

async function send(event) {
  event.preventDefault();
  button.disabled = true;
  result.textContent = "";
  try {
    const response = await fetch(button.formAction, { method: "POST", body: readTest() });
    if (response.redirected || !response.ok) throw new Error(button.dataset.failed);
    const { text, problem } = await response.json();
    result.textContent = problem || text;
  } catch {
    result.textContent = button.dataset.failed;
  } finally {
    button.disabled = false;
  }
}

button.addEventListener("click", send);
