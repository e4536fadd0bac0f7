// Keeps a live part up to date, calmly: only what differs is changed, so that focus, selection, open details
// and the scrolled place stay; it is asked for less and less often while nothing changes, not at all while
// nobody looks, and no more once the server says that it is over.
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

  // A chart draws itself; its table tells it when.
  window.Idiomorph.defaults.callbacks.beforeNodeMorphed = function (old) {
    return !(old.matches && old.matches("figure[data-chart-of]"));
  };

  // What somebody has opened stays open.
  window.Idiomorph.defaults.callbacks.beforeAttributeUpdated = function (name, element) {
    return !(name === "open" && element.tagName === "DETAILS");
  };

  document.addEventListener("htmx:afterRequest", function (event) {
    if (event.detail.elt.id !== "live") return;
    var hasChanged = event.detail.successful && event.detail.xhr.status !== 204;
    pause = hasChanged ? SOON : Math.min(pause * 1.5, LATE);
    plan();
  });

  // With the state of the mailing, other things on the page change as well, such as what can be done.
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
