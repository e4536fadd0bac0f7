// Runs before the first paint, so that a chosen theme never flashes. The choice is one of auto, light, dark.
(function () {
  "use strict";
  var darkWish = window.matchMedia("(prefers-color-scheme: dark)");

  function choice() {
    try {
      return localStorage.getItem("theme") || "auto";
    } catch (error) {
      return "auto"; // storage may be forbidden; the system's wish is then all we know
    }
  }

  function apply() {
    var theme = choice();
    if (theme !== "light" && theme !== "dark") theme = darkWish.matches ? "dark" : "light";
    document.documentElement.setAttribute("data-bs-theme", theme);
  }

  window.skymailingTheme = {
    choice: choice,
    choose: function (theme) {
      try {
        localStorage.setItem("theme", theme);
      } catch (error) {
        // the choice then lasts as long as the page
      }
      apply();
    },
  };
  darkWish.addEventListener("change", apply);
  apply();
  document.documentElement.classList.add("js");
})();
