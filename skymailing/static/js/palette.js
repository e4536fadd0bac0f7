// The command palette: Ctrl+K (or ⌘K) opens a search for pages, clients, messages and mailings. Without
// JavaScript, its link opens the page with the same search.
const PAUSE = 150; // milliseconds without typing before a search

const dialog = document.getElementById("palette");
const input = dialog.querySelector("input");
const results = dialog.querySelector("[data-palette-results]");
let newest = 0;
let timer;

async function search() {
  const number = ++newest;
  const url = new URL(dialog.dataset.url, location.href);
  url.search = new URLSearchParams({ part: "1", q: input.value });
  const response = await fetch(url, { headers: { Accept: "text/html" } }).catch(() => null);
  if (number !== newest) return;
  if (!response || !response.ok || response.redirected) {
    results.textContent = dialog.dataset.failed;
    return;
  }
  results.innerHTML = await response.text();
}

function open() {
  if (dialog.open) return;
  dialog.showModal();
  input.select();
  search();
}

function listLinks() {
  return [...results.querySelectorAll("a")];
}

function move(step) {
  const places = [input, ...listLinks()];
  const at = places.indexOf(document.activeElement);
  places[(at + step + places.length) % places.length].focus();
}

document.addEventListener("keydown", (event) => {
  // `code` is the key's position, so this also works in a Cyrillic layout.
  const isShortcut = (event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey && event.code === "KeyK";
  if (!isShortcut || event.defaultPrevented) return;
  event.preventDefault();
  open();
});

for (const link of document.querySelectorAll("[data-palette-open]")) {
  link.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    open();
  });
}

input.addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(search, PAUSE);
});

dialog.addEventListener("keydown", (event) => {
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    event.preventDefault();
    move(event.key === "ArrowDown" ? 1 : -1);
  } else if (event.key === "Enter" && event.target === input) {
    event.preventDefault();
    const [first] = listLinks();
    if (first) first.click();
  }
});

dialog.addEventListener("click", (event) => {
  if (event.target === dialog) dialog.close();
});
