// Change the values in the columns of the client list where they are shown.
const table = document.querySelector(".client-table");
const token = document.querySelector("#bulk [name=csrf_token]").value;

function makeButton(cell) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "value-button";
  button.title = table.dataset.change;
  button.setAttribute("aria-label", `${cell.dataset.label}: ${cell.dataset.value}. ${table.dataset.change}`);
  button.textContent = cell.textContent.trim();
  button.addEventListener("click", () => edit(cell, button));
  cell.replaceChildren(button);
  return button;
}

function edit(cell, button) {
  const input = document.createElement("input");
  input.className = "form-control form-control-sm";
  input.value = cell.dataset.value;
  input.setAttribute("aria-label", cell.dataset.label);
  const error = document.createElement("p");
  error.className = "field-errors";
  error.setAttribute("role", "alert");
  cell.replaceChildren(input, error);
  input.focus();
  let isBusy = false; // also once the field is closed, which removes it and so may report a change

  function close() {
    isBusy = true;
    cell.replaceChildren(button);
    button.focus();
  }

  async function save() {
    if (isBusy) return;
    if (input.value === cell.dataset.value) {
      close();
      return;
    }
    isBusy = true;
    error.textContent = "";
    const problem = await send(cell, input.value);
    if (problem === null) {
      makeButton(cell).focus();
      return;
    }
    isBusy = false;
    error.textContent = problem;
  }

  input.addEventListener("keydown", (event) => {
    if (event.key === "Escape") close();
    if (event.key !== "Enter") return;
    event.preventDefault(); // the list's own form is for actions on many clients
    save();
  });
  input.addEventListener("change", save);
}

// Store a value; return null, or why that is not possible.
async function send(cell, value) {
  const { field, value: shown } = cell.dataset;
  const id = cell.closest("tr").querySelector("[name=ids]").value;
  const body = new URLSearchParams({ field, shown, value, csrf_token: token });
  try {
    const response = await fetch(`/clients/${id}/values`, { method: "POST", headers: { "HX-Request": "true" }, body });
    const text = await response.text();
    if (!response.ok) return response.status === 422 ? text : table.dataset.failed;
    cell.dataset.value = text;
    cell.textContent = text;
    return null;
  } catch {
    return table.dataset.failed;
  }
}

table.querySelectorAll("td[data-field]").forEach(makeButton);
