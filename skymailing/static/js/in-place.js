// Values that are changed where they are shown: put the focus into the field, and close it without a new page.
for (const details of document.querySelectorAll(".in-place, .add-tags")) {
  const close = () => {
    details.querySelector("form").reset();
    details.open = false;
    details.querySelector("summary").focus();
  };
  details.addEventListener("toggle", () => {
    if (details.open) details.querySelector("input:not([type=hidden]), textarea").focus();
  });
  details.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && details.open) close();
  });
  details.querySelector("[data-close]")?.addEventListener("click", (event) => {
    event.preventDefault();
    close();
  });
}
