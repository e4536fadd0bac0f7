// The button that prints a page. Charts are printed in the light theme, even if the page is dark.
const root = document.documentElement;
let theme = null;

const LOADING_LIMIT = 5000; // milliseconds

const unfolded = [];

// Show what is folded. Charts have no size until then.
function unfold() {
  for (const part of document.querySelectorAll("details:is(.fold, .is-printed):not([open])")) {
    part.open = true;
    unfolded.push(part);
  }
  for (const chart of Object.values(window.Chart?.instances ?? {})) chart.resize();
}

// Load the parts that otherwise load when scrolled into view; those that fail are printed without contents.
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
  unfold();
  await loadAll();
  window.print();
});

window.addEventListener("beforeprint", () => {
  unfold();
  theme = root.dataset.bsTheme ?? "";
  root.dataset.bsTheme = "light";
});

window.addEventListener("afterprint", () => {
  for (const part of unfolded.splice(0)) part.open = false;
  if (theme) root.dataset.bsTheme = theme;
  else delete root.dataset.bsTheme;
});
