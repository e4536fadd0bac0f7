// Runs before the first paint, so that the wrong theme never flashes. Not a module, because modules run later.
// The choice is auto, light or dark.
(function () {
  "use strict";
  const prefersDark = window.matchMedia("(prefers-color-scheme: dark)");

  function readChoice() {
    try {
      return localStorage.getItem("theme") || "auto";
    } catch {
      return "auto"; // storage may be forbidden; then the system's preference applies
    }
  }

  function apply() {
    let theme = readChoice();
    if (theme !== "light" && theme !== "dark") theme = prefersDark.matches ? "dark" : "light";
    document.documentElement.setAttribute("data-bs-theme", theme);
  }

  function choose(theme) {
    try {
      localStorage.setItem("theme", theme);
    } catch {
      // storage may be forbidden; then the choice is not saved
    }
    apply();
  }

  window.skymailingTheme = { readChoice, choose };
  prefersDark.addEventListener("change", apply);
  apply();
  document.documentElement.classList.add("js");
})();
