// Buttons that copy text, or without it the element before them. They appear only if the browser allows copying.
const CONFIRMATION_TIME = 2000; // milliseconds for which a button says "Copied"

function reveal() {
  for (const button of document.querySelectorAll("button[data-copy]")) button.hidden = false;
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-copy]");
  if (!button) return;
  await navigator.clipboard.writeText(button.dataset.copy || button.previousElementSibling.textContent);
  const label = button.querySelector("span"), text = label.textContent;
  if (text === button.dataset.copied) return;
  label.textContent = button.dataset.copied;
  setTimeout(() => { label.textContent = text; }, CONFIRMATION_TIME);
});

if (navigator.clipboard) {
  reveal();
  document.addEventListener("htmx:afterSettle", reveal);
}
