// Comforts on top of pages that work without them: menus that close, the theme chooser, flash messages,
// and buttons that a double click presses once.
(function () {
  "use strict";

  function closeMenus(except) {
    document.querySelectorAll("details[data-menu][open]").forEach(function (menu) {
      if (menu !== except) menu.open = false;
    });
  }

  document.addEventListener("click", function (event) {
    closeMenus(event.target.closest("details[data-menu]"));
    var dismiss = event.target.closest("[data-dismiss]");
    if (dismiss) dismiss.closest(".flash").remove();
  });

  document.addEventListener("keydown", function (event) {
    if (event.key !== "Escape") return;
    var open = event.target.closest("details[data-menu][open]");
    closeMenus(null);
    if (open) open.querySelector("summary").focus();
  });

  // A second mailing, or a second start, would send everybody a second letter. Forms that show their
  // answer in a frame, and those that htmx sends, may be sent again and again.
  document.addEventListener("submit", function (event) {
    var form = event.target;
    if (event.defaultPrevented || form.method !== "post") return;
    if (form.target || (event.submitter && event.submitter.formTarget)) return;
    if (form.dataset.sent) {
      event.preventDefault();
      return;
    }
    form.dataset.sent = "1";
    // Whoever stopped the page from loading may try again.
    setTimeout(function () { delete form.dataset.sent; }, 10000);
  });

  // Back on a page that the browser has kept: its forms may be sent again.
  window.addEventListener("pageshow", function () {
    document.querySelectorAll("form[data-sent]").forEach(function (form) {
      delete form.dataset.sent;
    });
  });

  document.querySelectorAll("[data-theme-chooser]").forEach(function (chooser) {
    var current = window.skymailingTheme.choice();
    chooser.querySelectorAll("input").forEach(function (input) {
      input.checked = input.value === current;
      input.addEventListener("change", function () {
        window.skymailingTheme.choose(input.value);
      });
    });
  });
})();
