// Draws tables as charts: <figure data-chart-of="id of a table" data-kind="bars, horizontal or ring">. The numbers come from the
// table, which works without JavaScript and for screen readers. Columns whose title has data-tone are drawn.
(function () {
  "use strict";
  if (!window.Chart) return;
  var charts = [];
  // No animation: growing bars only delay the numbers, and some people ask for less motion.
  Chart.defaults.animation = false;
  Chart.defaults.maintainAspectRatio = false;

  // Custom properties hold light-dark() pairs, which the browser resolves only in a real property.
  function colour(name) {
    var probe = document.createElement("span");
    probe.style.color = "var(--" + name + ")";
    document.body.append(probe);
    var found = getComputedStyle(probe).color;
    probe.remove();
    return found;
  }

  function read(table, limit) {
    var titles = Array.from(table.tHead.rows[0].cells);
    var rows = Array.from(table.tBodies[0].rows).slice(0, limit || undefined);
    return {
      labels: rows.map(function (row) { return row.cells[0].dataset.label || row.cells[0].textContent.trim(); }),
      // In a ring each row has its own colour.
      tones: rows.map(function (row) { return row.dataset.tone; }),
      datasets: titles.flatMap(function (title, index) {
        if (!title.dataset.tone) return [];
        var numbers = rows.map(function (row) { return Number(row.cells[index].dataset.value); });
        // Leave columns of zeros out of the legend.
        if (!numbers.some(Boolean)) return [];
        return [{ label: title.textContent.trim(), data: numbers, tone: title.dataset.tone }];
      }),
    };
  }

  function paint(chart) {
    var ink = colour("ink-2"), line = colour("line"), scales = chart.options.scales;
    chart.options.plugins.legend.labels.color = ink;
    ["x", "y"].forEach(function (axis) {
      if (!scales[axis]) return;
      scales[axis].ticks.color = ink;
      scales[axis].grid.color = line;
    });
    chart.data.datasets.forEach(function (dataset) {
      var isRing = chart.config.type === "doughnut";
      dataset.backgroundColor = isRing
        ? chart.data.tones.map(function (tone) { return colour(tone + "-bar"); })
        : colour(dataset.tone + "-bar");
      if (isRing) dataset.borderColor = colour("surface");
    });
    chart.update();
  }

  function shorten(text) {
    return text.length > 22 ? text.slice(0, 21) + "…" : text;
  }

  function settings(kind, data) {
    var legend = { position: kind === "ring" ? "right" : "bottom", labels: { boxWidth: 12 } };
    var shared = { locale: document.documentElement.lang, plugins: { legend: legend } };
    if (kind === "ring") return { type: "doughnut", data: data, options: Object.assign(shared, { cutout: "65%", scales: {} }) };
    var horizontal = kind === "horizontal";
    var names = { stacked: true, grid: {}, ticks: { maxRotation: 0, autoSkip: !horizontal } };
    if (horizontal) names.ticks.callback = function (value) { return shorten(this.getLabelForValue(value)); };
    var counts = { stacked: true, beginAtZero: true, grid: {}, ticks: { precision: 0 } };
    return {
      type: "bar",
      data: data,
      options: Object.assign(shared, {
        indexAxis: horizontal ? "y" : "x",
        interaction: { mode: "index", axis: horizontal ? "y" : "x", intersect: false },
        scales: horizontal ? { x: counts, y: names } : { x: names, y: counts },
      }),
    };
  }

  function draw(figure) {
    var table = document.getElementById(figure.dataset.chartOf);
    var data = read(table, Number(figure.dataset.limit));
    var chart = Chart.getChart(figure.querySelector("canvas"));
    if (chart && JSON.stringify(chart.drawn) === JSON.stringify(data)) return;
    var drawn = JSON.parse(JSON.stringify(data));
    figure.hidden = !data.datasets.length;
    if (figure.hidden) return;
    if (figure.dataset.kind === "horizontal") figure.style.height = 5 + 2 * data.labels.length + "rem";
    if (chart) chart.data = data;
    else charts.push(chart = new Chart(figure.querySelector("canvas"), settings(figure.dataset.kind, data)));
    chart.drawn = drawn;
    paint(chart);
  }

  function drawAll() { document.querySelectorAll("figure[data-chart-of]").forEach(draw); }
  drawAll();
  // A live part of the page has been updated.
  document.addEventListener("htmx:afterSettle", drawAll);
  new MutationObserver(function () { charts.forEach(paint); })
    .observe(document.documentElement, { attributeFilter: ["data-bs-theme"] });
})();
