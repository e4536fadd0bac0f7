// Comforts on top of pages that work without them: menus that close, the theme chooser, flash messages.
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
