// The button that prints a page. Charts are printed in the light theme, even if the page is dark.
const root = document.documentElement;
let theme = null;

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-print]")) window.print();
});

window.addEventListener("beforeprint", () => {
  theme = root.dataset.bsTheme ?? "";
  root.dataset.bsTheme = "light";
});

window.addEventListener("afterprint", () => {
  if (theme) root.dataset.bsTheme = theme;
  else delete root.dataset.bsTheme;
});
