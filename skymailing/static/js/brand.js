// Show the brand's letter with what is typed, before it is saved.

const form = document.querySelector("[data-brand-form]");
const FIELDS = ["color", "font", "background_color", "text_color", "link_color", "button_color", "address", "links"];
let timer;

function show() {
  const values = new URLSearchParams();
  for (const name of FIELDS) values.set(name, form.elements[name].value);
  if (form.elements.color.value === form.dataset.defaultColor || form.elements.removes_color?.checked) values.delete("color");
  document.querySelector("[data-brand-preview]").src = `${form.dataset.preview}?${values}`;
}

form.addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(show, 300);
});
