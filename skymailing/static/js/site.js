// Conveniences for pages that also work without them: menus that close, the theme chooser, flash messages, two
// keyboard shortcuts, passwords that can be shown, and buttons that ignore a second click and show when the server is
// slow.
const BUSY_AFTER = 300; // milliseconds
const RELEASE_AFTER = 10_000; // milliseconds

function closeMenus(except) {
  for (const menu of document.querySelectorAll("details[data-menu][open]")) {
    if (menu !== except) menu.open = false;
  }
}

document.addEventListener("click", (event) => {
  closeMenus(event.target.closest("details[data-menu]"));
  const dismiss = event.target.closest("[data-dismiss]");
  if (dismiss) dismiss.closest(".flash").remove();
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  const open = event.target.closest("details[data-menu][open]");
  closeMenus(null);
  if (open) open.querySelector("summary").focus();
});

function showBusy(button) {
  if (!button) return;
  setTimeout(() => {
    const isWaiting = document.visibilityState === "visible" && button.form.dataset.sent;
    if (isWaiting) button.setAttribute("aria-busy", "true");
  }, BUSY_AFTER);
}

function release(form) {
  delete form.dataset.sent;
  for (const button of form.querySelectorAll("[aria-busy]")) button.removeAttribute("aria-busy");
}

// Send a form only once: a second mailing, or a second start, would send every client a second letter.
// Forms that show the response in a frame, and those that htmx sends, may be sent repeatedly.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || form.method !== "post") return;
  if (form.target || (event.submitter && event.submitter.formTarget)) return;
  if (form.dataset.sent) {
    event.preventDefault();
    return;
  }
  form.dataset.sent = "1";
  showBusy(event.submitter);
  // The user may have stopped the page from loading, and can then try again.
  setTimeout(() => release(form), RELEASE_AFTER);
});

// The Back button has returned to a page that the browser kept: its forms may be sent again.
window.addEventListener("pageshow", () => {
  document.querySelectorAll("form[data-sent]").forEach(release);
});

// Shortcuts: / goes to the search field, n to the form for a new item. A switch in the footer turns them off.
function keysAreOn() {
  try {
    return localStorage.getItem("keys") !== "off";
  } catch {
    return true;
  }
}

// Keys are found by their position if the keyboard layout has no Latin letters.
const PLACES = { KeyN: "n", Slash: "/" };

function findShortcut(event) {
  const find = (key) => key && document.querySelector(`[data-key="${CSS.escape(key)}"]`);
  const isOtherLayout = /[^ -~]/.test(event.key) || (event.code === "Slash" && event.key === ".");
  return find(event.key) || (isOtherLayout ? find(PLACES[event.code]) : null);
}

document.addEventListener("keydown", (event) => {
  const isTyping = event.target.closest("input, textarea, select, [contenteditable]");
  if (isTyping || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || !keysAreOn()) return;
  const target = findShortcut(event);
  if (!target) return;
  event.preventDefault();
  target.focus();
  if (target.matches("a")) target.click();
  else if (target.select) target.select();
});

for (const box of document.querySelectorAll("[data-keys-switch]")) {
  box.checked = keysAreOn();
  box.addEventListener("change", () => {
    try {
      localStorage.setItem("keys", box.checked ? "on" : "off");
    } catch {
      // storage may be forbidden; then the choice is not saved
    }
  });
}

for (const chooser of document.querySelectorAll("[data-theme-chooser]")) {
  const current = window.skymailingTheme.readChoice();
  for (const input of chooser.querySelectorAll("input")) {
    input.checked = input.value === current;
    input.addEventListener("change", () => window.skymailingTheme.choose(input.value));
  }
}

for (const button of document.querySelectorAll(".password-show")) {
  const input = button.previousElementSibling;
  const show = (isShown) => {
    input.type = isShown ? "text" : "password";
    button.setAttribute("aria-pressed", String(isShown));
  };
  button.hidden = false;
  button.addEventListener("click", () => {
    show(input.type === "password");
    input.focus();
  });
  // Password managers and the browser's history must not take it for an ordinary field.
  input.form.addEventListener("submit", () => show(false));
}
