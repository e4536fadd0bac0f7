// Tick all clients on the page, or with Shift all between two clicks, and show how many are ticked. Escape unticks all.
const form = document.getElementById("bulk");
if (form) {
  const page = document.getElementById("tick-page");
  const all = document.getElementById("tick-all");
  const count = document.getElementById("bulk-count");
  const bar = form.querySelector(".bulk-bar");
  const boxes = [...form.querySelectorAll("input[name=ids]")];

  const update = () => {
    const ticked = boxes.filter((box) => box.checked).length;
    page.checked = ticked === boxes.length;
    page.indeterminate = ticked > 0 && ticked < boxes.length;
    bar.hidden = !ticked && !(all && all.checked);
    count.hidden = Boolean(all && all.checked);
    count.textContent = count.dataset.text.replace("{}", ticked);
  };

  page.addEventListener("change", () => {
    for (const box of boxes) box.checked = page.checked;
    if (all && !page.checked) all.checked = false;
    update();
  });
  let last = null;
  form.addEventListener("click", ({ target, shiftKey }) => {
    if (!boxes.includes(target)) return;
    if (shiftKey && last) {
      const [start, end] = [boxes.indexOf(last), boxes.indexOf(target)].sort((a, b) => a - b);
      for (const box of boxes.slice(start, end + 1)) box.checked = target.checked;
    }
    last = target;
  });
  form.addEventListener("keydown", (event) => {
    const group = event.target.closest(".bulk-value");
    if (event.isComposing) return; // the key is for an input method
    if (event.key === "Enter" && group && event.target.matches("input")) {
      event.preventDefault(); // would press the form's first button
      group.querySelector("button").click();
    }
    if (event.key !== "Escape" || event.target.matches(".bulk-tag input") || bar.hidden) return;
    for (const box of [...boxes, page, all]) if (box) box.checked = false;
    update();
  });
  form.addEventListener("change", (event) => {
    if (event.target === page) return;
    if (all && event.target.name === "ids" && !event.target.checked) all.checked = false;
    update();
  });
  window.addEventListener("pageshow", update); // browsers restore ticks when people go back
  update();
}
