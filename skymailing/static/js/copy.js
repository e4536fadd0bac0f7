// Buttons that copy text. They appear only if the browser allows copying.
const PAUSE = 2000; // milliseconds for which a button says that it has copied

function reveal() {
  for (const button of document.querySelectorAll("button[data-copy]")) button.hidden = false;
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-copy]");
  if (!button) return;
  await navigator.clipboard.writeText(button.dataset.copy);
  const label = button.querySelector("span"), text = label.textContent;
  if (text === button.dataset.copied) return;
  label.textContent = button.dataset.copied;
  setTimeout(() => { label.textContent = text; }, PAUSE);
});

if (navigator.clipboard) {
  reveal();
  document.addEventListener("htmx:afterSettle", reveal);
}
