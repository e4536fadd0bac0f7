// Comforts on top of pages that work without them: menus that close, the theme chooser, flash messages, two
// keys, and buttons that a double click presses once and that show when they take long.
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

  // What takes longer than a moment says that it is being done.
  function showWaiting(button) {
    if (!button) return;
    setTimeout(function () {
      if (document.visibilityState === "visible" && button.form.dataset.sent) button.setAttribute("aria-busy", "true");
    }, 300);
  }

  // A second mailing, or a second start, would send everybody a second letter. Forms that show their
  // answer in a frame, and those that htmx sends, may be sent again and again.
  function release(form) {
    delete form.dataset.sent;
    form.querySelectorAll("[aria-busy]").forEach(function (button) { button.removeAttribute("aria-busy"); });
  }

  document.addEventListener("submit", function (event) {
    var form = event.target;
    if (event.defaultPrevented || form.method !== "post") return;
    if (form.target || (event.submitter && event.submitter.formTarget)) return;
    if (form.dataset.sent) {
      event.preventDefault();
      return;
    }
    form.dataset.sent = "1";
    showWaiting(event.submitter);
    // Whoever stopped the page from loading may try again.
    setTimeout(function () { release(form); }, 10000);
  });

  // Back on a page that the browser has kept: its forms may be sent again.
  window.addEventListener("pageshow", function () {
    document.querySelectorAll("form[data-sent]").forEach(release);
  });

  // Two keys, for those who want them: / goes to the search, n to what is new. The choice is in the footer.
  function keysAreOn() {
    try {
      return localStorage.getItem("keys") !== "off";
    } catch (error) {
      return true;
    }
  }

  document.addEventListener("keydown", function (event) {
    var isTyping = event.target.closest("input, textarea, select, [contenteditable]");
    if (isTyping || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || !keysAreOn()) return;
    var wanted = document.querySelector('[data-key="' + CSS.escape(event.key) + '"]');
    if (!wanted) return;
    event.preventDefault();
    wanted.focus();
    if (wanted.matches("a")) wanted.click();
    else if (wanted.select) wanted.select();
  });

  document.querySelectorAll("[data-keys-switch]").forEach(function (box) {
    box.checked = keysAreOn();
    box.addEventListener("change", function () {
      try {
        localStorage.setItem("keys", box.checked ? "on" : "off");
      } catch (error) {
        // the choice cannot be kept, and the keys stay as they are
      }
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
