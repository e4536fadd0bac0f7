// Keeps the live part of a page up to date. Only differences are applied, so that focus, selection, open
// details and the scroll position stay. Polls less often while nothing changes, pauses while the page is
// hidden, and stops when the part has no hx-get any more.
(function () {
  "use strict";
  var SOON = 2000, LATE = 15000; // milliseconds
  var pause = SOON, timer = null, state = null;

  function live() { return document.querySelector("#live[hx-get]"); }

  function plan() {
    clearTimeout(timer);
    if (!document.hidden && live()) timer = setTimeout(look, pause);
  }

  function look() {
    if (live()) window.htmx.trigger("#live", "look");
  }

  // Charts redraw themselves when their table has changed.
  window.Idiomorph.defaults.callbacks.beforeNodeMorphed = function (old) {
    return !(old.matches && old.matches("figure[data-chart-of]"));
  };

  // Details that the user opened stay open.
  window.Idiomorph.defaults.callbacks.beforeAttributeUpdated = function (name, element) {
    return !(name === "open" && element.tagName === "DETAILS");
  };

  document.addEventListener("htmx:afterRequest", function (event) {
    if (event.detail.elt.id !== "live") return;
    var hasChanged = event.detail.successful && event.detail.xhr.status !== 204;
    pause = hasChanged ? SOON : Math.min(pause * 1.5, LATE);
    plan();
  });

  // When the state of a mailing changes, the rest of the page changes too, such as its buttons.
  document.addEventListener("htmx:afterSettle", function (event) {
    var now = document.getElementById("live").dataset.state;
    if (now === state || event.detail.elt.id !== "live") return;
    state = now;
    window.htmx.ajax("GET", location.pathname, {
      source: "#mailing-page", target: "#mailing-page", select: "#mailing-page", swap: "morph:outerHTML",
    });
  });

  document.addEventListener("visibilitychange", function () {
    pause = SOON;
    if (document.hidden) clearTimeout(timer);
    else look();
  });

  document.addEventListener("DOMContentLoaded", function () {
    state = document.getElementById("live").dataset.state;
    plan();
  });
})();
