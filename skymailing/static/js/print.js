// The button that prints a page. Charts are printed in the light theme, even if the page is dark.
const root = document.documentElement;
let theme = null;

const LOADING_LIMIT = 5000; // milliseconds

// Load what the page otherwise loads when it is scrolled to it; a part that fails is printed without its contents.
async function loadAll() {
  const parts = [...document.querySelectorAll("[data-hx-trigger^='revealed']")];
  const loaded = parts.map((part) => new Promise((resolve) => {
    part.addEventListener("htmx:afterRequest", resolve, { once: true });
    window.htmx.trigger(part, "revealed");
  }));
  const late = new Promise((resolve) => { setTimeout(resolve, LOADING_LIMIT); });
  await Promise.race([Promise.all(loaded), late]);
  // Charts of the loaded parts are drawn when htmx has settled them.
  if (parts.length) await new Promise((resolve) => { setTimeout(resolve, 100); });
}

document.addEventListener("click", async (event) => {
  if (!event.target.closest("[data-print]")) return;
  await loadAll();
  window.print();
});

window.addEventListener("beforeprint", () => {
  theme = root.dataset.bsTheme ?? "";
  root.dataset.bsTheme = "light";
});

window.addEventListener("afterprint", () => {
  if (theme) root.dataset.bsTheme = theme;
  else delete root.dataset.bsTheme;
});
