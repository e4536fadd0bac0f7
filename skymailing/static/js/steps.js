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
  if (section.dataset.step === "check") {
    // Until the response arrives, the button may describe an outdated start.
    setStartDisabled(true);
    window.htmx.trigger("#summary", "review");
  }
  if (!hasMoved) return;
  // Screen readers and the keyboard continue at the beginning of the step.
  section.querySelector("h2").focus({ preventScroll: true });
  window.scrollTo(0, 0);
}

function setStartDisabled(isDisabled) {
  for (const button of form.querySelectorAll("#start-button > button")) button.disabled = isDisabled;
}

for (const name of ["htmx:afterOnLoad", "htmx:sendError"]) {
  document.addEventListener(name, (event) => {
    if (event.detail.elt.id === "summary") setStartDisabled(false);
  });
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

// Remove the step from the URL, since the next page has no such step.
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

// Show the chosen message.
const look = form.querySelector("[data-look]");

form.addEventListener("change", ({ target }) => {
  if (!look || target.name !== "message") return;
  const isChosen = Boolean(Number(target.value));
  look.hidden = !isChosen;
  if (isChosen) look.src = look.dataset.look.replace("/0/", `/${target.value}/`);
});

// “Right away” means no time. The end matters most for a recurring mailing.
const startTime = form.querySelector("[name=starts_at]");

form.addEventListener("change", ({ target }) => {
  if (target.name === "start" && startTime) {
    if (target.value === "later") startTime.focus();
    else {
      startTime.value = "";
      form.querySelector("[name=is_local_time]").checked = false;
    }
  }
  if (target.name === "periodicity" && target.value !== "once") document.getElementById("end").open = true;
});

// Fill in the suggested start.
form.addEventListener("click", ({ target }) => {
  const button = target.closest("[data-start]");
  if (!button) return;
  document.getElementById("start-choice-later").checked = true;
  startTime.value = button.dataset.start;
  startTime.dispatchEvent(new Event("change", { bubbles: true }));
});

// The server checks the times. Errors appear next to the fields, and the last step opens only if there are none.
const times = form.querySelector("[data-step=when]");
let nextHash = ""; // the step to open after the check

function findTimeProblems() {
  return [...document.querySelectorAll(`#problems [data-field]:has([href="#${times.id}"])`)];
}

function showErrors(problems) {
  for (const field of times.querySelectorAll("input[name$=_at]")) {
    const problem = problems.find((item) => item.dataset.field === field.name);
    field.classList.toggle("is-invalid", Boolean(problem));
    field.setAttribute("aria-invalid", Boolean(problem));
    let text = document.getElementById(`${field.name}-error`);
    if (!text) {
      text = Object.assign(document.createElement("div"), { id: `${field.name}-error`, className: "field-errors" });
      field.after(text);
      field.setAttribute("aria-describedby", `${text.id} ${field.getAttribute("aria-describedby") || ""}`);
    }
    text.textContent = problem ? problem.dataset.text : "";
    const details = field.closest("details");
    if (problem && details) details.open = true;
  }
}

document.addEventListener("htmx:afterRequest", (event) => {
  if (event.detail.elt.id !== "summary") return;
  const problems = findTimeProblems(), target = nextHash;
  nextHash = "";
  showErrors(problems);
  if (problems.length && (target || current.value === "check")) {
    location.hash = times.id;
    const field = times.querySelector(".is-invalid");
    if (field) field.focus();
  } else if (target) {
    location.hash = target;
  }
});

times.querySelector("[data-next]").addEventListener("click", (event) => {
  if (event.defaultPrevented) return;
  event.preventDefault();
  if (!isComplete(times)) return;
  nextHash = event.target.closest("a").hash;
  window.htmx.trigger("#summary", "review");
});

// Ask for confirmation before letters are sent immediately.
form.addEventListener("submit", (event) => {
  if (event.defaultPrevented) return;
  const dialog = event.submitter && form.querySelector(event.submitter.dataset.asks || "#none");
  if (!dialog) return;
  event.preventDefault();
  dialog.showModal();
});

form.addEventListener("click", (event) => {
  const button = event.target.closest("[data-close]");
  if (button) button.closest("dialog").close();
});
