// On phones, the panel's menu and quick filters scroll sideways. Show the current link in the middle.
for (const nav of document.querySelectorAll(".panel-nav, .page-header + nav")) {
  const current = nav.querySelector("[aria-current]");
  if (current) nav.scrollLeft = current.offsetLeft - (nav.clientWidth - current.offsetWidth) / 2;
}
