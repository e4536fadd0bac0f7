// Fields that open in the rows of the client list, and how they are saved.
export const table = document.querySelector(".client-table");
const token = document.querySelector("#bulk [name=csrf_token]").value;

// Replace a button with a field until its text is saved or Escape is pressed; return the field. `save` gets
// the text when people press Enter or leave the field after a change; it returns the error, if there is one.
export function openField(button, label, text, save) {
  const input = document.createElement("input");
  input.className = "form-control form-control-sm";
  input.autocomplete = "off";
  input.value = text;
  input.setAttribute("aria-label", label);
  const initial = input.value; // without line breaks
  const error = document.createElement("p");
  error.className = "field-errors";
  error.setAttribute("role", "alert");
  button.replaceWith(input, error);
  input.focus();

  function close() {
    if (!input.isConnected) return;
    const hasFocus = document.activeElement === input;
    input.readOnly = true; // removing a field may fire its change event
    error.remove();
    input.replaceWith(button);
    if (hasFocus) button.focus();
  }

  async function submit() {
    if (input.readOnly) return;
    error.textContent = "";
    if (input.value.trim() !== initial) {
      input.readOnly = true;
      error.textContent = (await save(input.value)) ?? "";
      input.readOnly = false;
    }
    if (!error.textContent) close();
  }

  input.addEventListener("keydown", (event) => {
    event.stopPropagation(); // Escape would untick the clients
    if (event.isComposing) return; // the input method uses the key
    if (event.key === "Escape") close();
    if (event.key !== "Enter") return;
    event.preventDefault(); // the list's own form is for actions on many clients
    submit();
  });
  input.addEventListener("change", submit);
  return input;
}

// Post values for the client in the cell's row; return the text of the response, or a problem.
export async function post(cell, path, values) {
  const id = cell.closest("tr").querySelector("[name=ids]").value;
  const body = new URLSearchParams({ ...values, csrf_token: token });
  try {
    const response = await fetch(`/clients/${id}/${path}`, {
      method: "POST", headers: { "HX-Request": "true" }, body,
    });
    const text = await response.text();
    if (response.ok) return { text };
    return { problem: response.status === 422 ? text : table.dataset.failed };
  } catch {
    return { problem: table.dataset.failed };
  }
}
