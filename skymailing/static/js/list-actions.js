// In each row of the client list: a button that copies the address (see copy.js), and one that adds tags.
const table = document.querySelector(".client-table");
const token = document.querySelector("#bulk [name=csrf_token]").value;

function cloneButton(name, address) {
  const button = document.getElementById(name).content.firstElementChild.cloneNode(true);
  button.setAttribute("aria-label", `${button.title}: ${address}`);
  return button;
}

function openField(cell, button) {
  const input = document.createElement("input");
  input.className = "form-control form-control-sm";
  input.setAttribute("list", "known-tags");
  input.setAttribute("aria-label", button.getAttribute("aria-label"));
  input.placeholder = table.dataset.tags;
  input.autocomplete = "off";
  const error = document.createElement("p");
  error.className = "field-errors";
  error.setAttribute("role", "alert");
  button.replaceWith(input, error);
  input.focus();

  function close() {
    error.remove();
    input.replaceWith(button);
    button.focus();
  }

  input.addEventListener("keydown", async (event) => {
    event.stopPropagation(); // Escape would untick the clients
    if (event.key === "Escape") close();
    if (event.key !== "Enter") return;
    event.preventDefault(); // the list's own form is for actions on many clients
    if (input.readOnly) return;
    if (!input.value.trim()) {
      close();
      return;
    }
    input.readOnly = true;
    error.textContent = (await addTags(cell, input.value)) ?? "";
    input.readOnly = false;
    if (!error.textContent) close();
  });
}

// Add tags to the client and show them; return null, or why that is not possible.
async function addTags(cell, tags) {
  const id = cell.closest("tr").querySelector("[name=ids]").value;
  const body = new URLSearchParams({ tags, csrf_token: token });
  try {
    const response = await fetch(`/clients/${id}/tags`, { method: "POST", headers: { "HX-Request": "true" }, body });
    const text = await response.text();
    if (!response.ok) return response.status === 422 ? text : table.dataset.failed;
    const labels = new DOMParser().parseFromString(text, "text/html").body.firstElementChild;
    const present = cell.querySelector(".tag-labels");
    if (present) present.replaceWith(labels);
    else cell.querySelector("input").before(labels);
    return null;
  } catch {
    return table.dataset.failed;
  }
}

for (const row of table.tBodies[0].rows) {
  const link = row.querySelector(".client-email a");
  link.after(cloneButton("copy-address", link.textContent));
  if (!("tags" in table.dataset)) continue;
  const cell = row.querySelector(".client-name");
  const button = cloneButton("add-tag", link.textContent);
  button.addEventListener("click", () => openField(cell, button));
  cell.append(button);
}
