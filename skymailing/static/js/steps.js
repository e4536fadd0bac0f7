// Shows a long form one step at a time. Which step is open stands in the address, so that the browser's
// back button and a reload work; without this script all steps stand one below the other.
(function () {
  "use strict";
  var form = document.querySelector("form[data-steps]");
  if (!form) return;
  var sections = Array.from(form.querySelectorAll("[data-step]"));
  var current = form.querySelector("[data-current-step]");
  var links = document.querySelectorAll(".form-steps a");

  function named(hash) {
    return sections.find(function (section) { return "#" + section.id === hash; });
  }

  function show(section, hasMoved) {
    sections.forEach(function (other) { other.classList.toggle("is-current", other === section); });
    links.forEach(function (link) {
      if (link.hash === "#" + section.id) link.setAttribute("aria-current", "step");
      else link.removeAttribute("aria-current");
    });
    current.value = section.dataset.step;
    if (section.dataset.step === "check") window.htmx.trigger("#summary", "review");
    if (!hasMoved) return;
    // Readers and the keyboard go on at the beginning of the step.
    section.querySelector("h2").focus({ preventScroll: true });
    window.scrollTo(0, 0);
  }

  // What a step demands is asked for before the next one opens.
  function isComplete(section) {
    return Array.from(section.querySelectorAll("input[required], select[required], textarea[required]"))
      .every(function (field) { return field.reportValidity(); });
  }

  form.addEventListener("click", function (event) {
    var next = event.target.closest("[data-next]");
    if (next && !isComplete(next.closest("[data-step]"))) event.preventDefault();
  });

  // Enter goes on to the next step, as people expect of it; in the search it searches.
  form.addEventListener("keydown", function (event) {
    if (event.key !== "Enter" || event.isComposing) return;
    var field = event.target.closest("input:not([type=checkbox]):not([type=radio])");
    if (!field) return;
    event.preventDefault();
    var next = field.closest("[data-step]").querySelector("[data-next]");
    if (field.type !== "search" && next) next.click();
  });

  // The step is a place on this page, not on the one that follows.
  form.addEventListener("submit", function () { form.action = location.pathname + location.search; });

  window.addEventListener("hashchange", function () {
    var section = named(location.hash);
    if (section) show(section, true);
  });

  // A page that came back with something wrong opens where that is, whatever the address says.
  document.addEventListener("DOMContentLoaded", function () {
    var open = form.querySelector(".is-current"), wished = named(location.hash);
    if (wished && document.querySelector(".form-steps .is-wrong") && wished !== open) location.replace("#" + open.id);
    else show(wished || open, false);
  });
})();
