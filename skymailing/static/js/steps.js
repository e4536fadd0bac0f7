// Show a long form one step at a time. The URL contains the open step, so that the browser's Back button
// and a reload work. Without this script all steps are shown, one below the other.
const form = document.querySelector("form[data-steps]");
const sections = [...form.querySelectorAll("[data-step]")];
const current = form.querySelector("[data-current-step]");
const links = document.querySelectorAll(".form-steps a");

function findSection(hash) {
  return sections.find((section) => `#${section.id}` === hash);
}

function show(section, hasMoved) {
  for (const other of sections) other.classList.toggle("is-current", other === section);
  for (const link of links) {
    if (link.hash === `#${section.id}`) link.setAttribute("aria-current", "step");
    else link.removeAttribute("aria-current");
  }
  current.value = section.dataset.step;
  if (section.dataset.step === "check") window.htmx.trigger("#summary", "review");
  if (!hasMoved) return;
  // Screen readers and the keyboard continue at the beginning of the step.
  section.querySelector("h2").focus({ preventScroll: true });
  window.scrollTo(0, 0);
}

// Check the step's required fields before the next step opens.
function isComplete(section) {
  const required = section.querySelectorAll("input[required], select[required], textarea[required]");
  return [...required].every((field) => field.reportValidity());
}

form.addEventListener("click", (event) => {
  const next = event.target.closest("[data-next]");
  if (next && !isComplete(next.closest("[data-step]"))) event.preventDefault();
});

// Enter continues with the next step, as people expect; in the search field, it searches.
form.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.isComposing) return;
  const field = event.target.closest("input:not([type=checkbox]):not([type=radio])");
  if (!field) return;
  event.preventDefault();
  const next = field.closest("[data-step]").querySelector("[data-next]");
  if (field.type !== "search" && next) next.click();
});

// Drop the step from the URL: it is a place on this page, not on the next one.
form.addEventListener("submit", () => {
  form.action = location.pathname + location.search;
});

window.addEventListener("hashchange", () => {
  const section = findSection(location.hash);
  if (section) show(section, true);
});

// A form with errors opens at the first of them, even if the URL contains another step.
document.addEventListener("DOMContentLoaded", () => {
  const marked = form.querySelector(".is-current"), named = findSection(location.hash);
  const hasErrors = document.querySelector(".form-steps .is-wrong");
  if (named && hasErrors && named !== marked) location.replace(`#${marked.id}`);
  else show(named || marked, false);
});
