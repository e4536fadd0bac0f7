// Questions to the author, in <dialog> elements of the page.

// Open a dialog with its fields filled in. Resolves to the fields and the button pressed; null when cancelled.
export function ask(id, values = {}) {
  const dialog = document.getElementById(id);
  const form = dialog.querySelector("form");
  form.reset();
  for (const [name, value] of Object.entries(values)) {
    if (form.elements[name]) form.elements[name].value = value;
  }
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      if (!dialog.returnValue) return resolve(null);
      const answers = { choice: dialog.returnValue };
      for (const field of form.elements) {
        if (field.name) answers[field.name] = field.value;
      }
      resolve(answers);
    }, { once: true });
  });
}

// Ask whether to continue although something will be lost; resolves to a boolean.
export async function confirmLoss(text, losses) {
  const dialog = document.getElementById("ask-loss");
  dialog.querySelector("[data-text]").textContent = text;
  const items = losses.map((loss) => {
    const item = document.createElement("li");
    item.textContent = loss;
    return item;
  });
  dialog.querySelector("[data-list]").replaceChildren(...items);
  return Boolean(await ask("ask-loss"));
}
