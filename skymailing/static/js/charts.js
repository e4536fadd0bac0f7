// Draws the tables that a page names as charts: <figure data-chart-of="id of a table" hidden>. The numbers
// are read out of the table, which says the same to everybody: columns whose title has data-tone are drawn.
(function () {
  "use strict";
  if (!window.Chart) return;
  var charts = [];
  // Nobody waits for bars to grow, least of all those who asked for less motion.
  Chart.defaults.animation = false;
  Chart.defaults.maintainAspectRatio = false;

  // Custom properties hold light-dark() pairs, which only a real property resolves.
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
      datasets: titles.flatMap(function (title, index) {
        if (!title.dataset.tone) return [];
        var numbers = rows.map(function (row) { return Number(row.cells[index].dataset.value); });
        // What never happened needs no place in the legend.
        if (!numbers.some(Boolean)) return [];
        return [{ label: title.textContent.trim(), data: numbers, tone: title.dataset.tone }];
      }),
    };
  }

  function paint(chart) {
    var ink = colour("ink-2"), line = colour("line");
    chart.options.plugins.legend.labels.color = ink;
    ["x", "y"].forEach(function (axis) {
      chart.options.scales[axis].ticks.color = ink;
      chart.options.scales[axis].grid.color = line;
    });
    chart.data.datasets.forEach(function (dataset) { dataset.backgroundColor = colour(dataset.tone + "-bar"); });
    chart.update();
  }

  function shorten(text) {
    return text.length > 22 ? text.slice(0, 21) + "…" : text;
  }

  document.querySelectorAll("figure[data-chart-of]").forEach(function (figure) {
    var data = read(document.getElementById(figure.dataset.chartOf), Number(figure.dataset.limit));
    if (!data.datasets.length) return;
    var lying = "lying" in figure.dataset;
    figure.hidden = false;
    if (lying) figure.style.height = 5 + 2 * data.labels.length + "rem";
    var names = { stacked: true, grid: {}, ticks: { maxRotation: 0, autoSkip: !lying } };
    if (lying) names.ticks.callback = function (value) { return shorten(this.getLabelForValue(value)); };
    var counts = { stacked: true, beginAtZero: true, grid: {}, ticks: { precision: 0 } };
    charts.push(new Chart(figure.querySelector("canvas"), {
      type: "bar",
      data: data,
      options: {
        indexAxis: lying ? "y" : "x",
        locale: document.documentElement.lang,
        interaction: { mode: "index", axis: lying ? "y" : "x", intersect: false },
        plugins: { legend: { position: "bottom", labels: { boxWidth: 12 } } },
        scales: lying ? { x: counts, y: names } : { x: names, y: counts },
      },
    }));
  });

  function paintAll() { charts.forEach(paint); }
  paintAll();
  new MutationObserver(paintAll).observe(document.documentElement, { attributeFilter: ["data-bs-theme"] });
})();
