// The checkbox in a table's title ticks those in its rows, and shows whether all or only some are ticked. The actions on
// ticked rows appear once there are some.
for (const all of document.querySelectorAll("[data-tick-all]")) {
  const table = all.closest("table");
  const actions = all.form.querySelector("[data-bulk]");
  const boxes = [...table.tBodies[0].querySelectorAll("input[type=checkbox]")];
  const update = () => {
    const ticked = boxes.filter((box) => box.checked).length;
    all.checked = ticked > 0 && ticked === boxes.length;
    all.indeterminate = ticked > 0 && ticked < boxes.length;
    actions.hidden = ticked === 0;
  };
  table.addEventListener("change", ({ target }) => {
    if (target === all) for (const box of boxes) box.checked = all.checked;
    update();
  });
  window.addEventListener("pageshow", update); // browsers restore ticks when people go back
  update();
}
