// Update the result of a check of links until it is finished.
const PAUSE = 1500; // milliseconds

function follow(place) {
  const url = place.querySelector("[data-link-check]")?.dataset.linkCheck;
  if (url) setTimeout(() => refresh(place, url), PAUSE);
}

async function refresh(place, url) {
  try {
    const response = await fetch(url);
    if (response.redirected || !response.ok) return;
    place.innerHTML = await response.text();
  } catch {
    // Without a connection, try again.
  }
  follow(place);
}

for (const place of document.querySelectorAll("[data-link-result]")) follow(place);
// The editor starts checks itself.
document.addEventListener("link-check", (event) => follow(event.target));
