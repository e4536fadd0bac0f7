// Keep the live part of a page up to date. Only differences are applied, to keep focus, selection, open details
// and the scroll position. While nothing changes, the pauses grow. Nothing is fetched while the page is hidden,
// or after the server has reported the end.
const { htmx, Idiomorph } = window;
const MIN_PAUSE = 2000, MAX_PAUSE = 15000; // milliseconds between two fetches
let pause = MIN_PAUSE, timer = 0, state = null;

function findLive() {
  return document.querySelector("#live[data-hx-get]");
}

function schedule() {
  clearTimeout(timer);
  if (!document.hidden && findLive()) timer = setTimeout(refresh, pause);
}

function refresh() {
  if (findLive()) htmx.trigger("#live", "poll");
}

// Leave charts alone: js/charts.js redraws them when their tables have changed.
Idiomorph.defaults.callbacks.beforeNodeMorphed = (old) => !(old.matches && old.matches("figure[data-chart-of]"));

// Keep the details elements that the user has opened.
Idiomorph.defaults.callbacks.beforeAttributeUpdated = (name, element) => (
  !(name === "open" && element.tagName === "DETAILS")
);

document.addEventListener("htmx:afterRequest", (event) => {
  if (event.detail.elt.id !== "live") return;
  const hasChanged = event.detail.successful && event.detail.xhr.status !== 204;
  pause = hasChanged ? MIN_PAUSE : Math.min(pause * 1.5, MAX_PAUSE);
  schedule();
});

// When the mailing's state changes, so does the rest of the page, such as its actions.
document.addEventListener("htmx:afterSettle", (event) => {
  const current = document.getElementById("live").dataset.state;
  if (current === state || event.detail.elt.id !== "live") return;
  state = current;
  htmx.ajax("GET", location.pathname, {
    source: "#mailing-page", target: "#mailing-page", select: "#mailing-page", swap: "morph:outerHTML",
  });
});

document.addEventListener("visibilitychange", () => {
  pause = MIN_PAUSE;
  if (document.hidden) clearTimeout(timer);
  else refresh();
});

document.addEventListener("DOMContentLoaded", () => {
  state = document.getElementById("live").dataset.state;
  schedule();
});
