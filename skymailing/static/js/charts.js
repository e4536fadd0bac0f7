// Draw a table as a chart: <figure data-chart-of="id of the table" data-kind="bars, horizontal, ring or lines">. The
// numbers come from the table, which stays on the page. Columns whose title has data-tone are drawn. The rows of a table
// with data-newest-first are drawn from the last to the first, because time runs from left to right.
const { Chart } = window;
const WIDE_FROM = 400; // pixels; a narrower figure has no room for long names, or for labels next to a ring
const LONGEST_NAME = 30; // characters
const LONGEST_NARROW_NAME = 18;
const WIDEST_BAR = 40; // pixels
const charts = [];
Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;

// Custom properties hold light-dark() pairs, which only a real property resolves.
function findColor(name) {
  const probe = document.createElement("span");
  probe.style.color = `var(--${name})`;
  probe.style.forcedColorAdjust = "none"; // the parts of a chart differ only in colour
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

function readTable(table, limit) {
  const titles = [...table.tHead.rows[0].cells];
  const rows = [...table.tBodies[0].rows].slice(0, limit || undefined);
  if ("newestFirst" in table.dataset) rows.reverse();
  const datasets = titles.flatMap((title, index) => {
    if (!title.dataset.tone) return [];
    const data = rows.map((row) => Number(row.cells[index].dataset.value));
    // Skip columns of zeros, which would clutter the legend.
    if (!data.some(Boolean)) return [];
    return [{ label: title.textContent.trim(), data, tone: title.dataset.tone }];
  });
  return {
    titles: rows.map((row) => row.cells[0].dataset.title), // of tooltips, if they say more than the labels
    labels: rows.map((row) => row.cells[0].dataset.label || row.cells[0].textContent.trim()),
    tones: rows.map((row) => row.dataset.tone), // in a ring, each row has its own colour
    datasets,
  };
}

// Set the colours of a chart or of the configuration of a new one.
function color({ type, data, options: { scales, plugins } }) {
  const textColor = findColor("ink-2"), gridColor = findColor("line");
  plugins.legend.labels.color = textColor;
  for (const axis of ["x", "y"]) {
    if (!scales[axis]) continue;
    scales[axis].ticks.color = textColor;
    scales[axis].grid.color = gridColor;
  }
  const isRing = type === "doughnut";
  for (const dataset of data.datasets) {
    dataset.backgroundColor = isRing
      ? data.tones.map((tone) => findColor(`${tone}-bar`))
      : findColor(`${dataset.tone}-bar`);
    if (type === "line") dataset.borderColor = dataset.backgroundColor;
    if (isRing) dataset.borderColor = findColor("surface");
  }
}

function repaint(chart) {
  color({ type: chart.config.type, data: chart.data, options: chart.options });
  chart.update();
}

// Keep both ends: the emails of a sequence have names that differ only at the end.
function shorten(text, longest) {
  if (text.length <= longest) return text;
  const end = Math.floor((longest - 1) / 2);
  return `${text.slice(0, longest - 1 - end).trimEnd()}…${text.slice(-end).trimStart()}`;
}

const findTitle = ([item]) => item.chart.data.titles[item.dataIndex] || item.label;

// Of times with and without seconds, label those without.
function keepWholeMinutes(scale) {
  const { labels } = scale.chart.data;
  const whole = scale.ticks.filter(({ value }) => !/^\d+:\d\d:\d\d$/.test(labels[value]));
  if (whole.length) scale.ticks = whole;
}

// Lines of percentages; where a row has no value, a line connects its neighbours.
function configureLines(data, shared) {
  const { locale } = shared;
  const percent = (value) => (value / 100).toLocaleString(locale, { style: "percent", maximumFractionDigits: 1 });
  const label = ({ dataset, parsed }) => `${dataset.label}: ${percent(parsed.y)}`;
  return {
    type: "line",
    data,
    options: {
      ...shared,
      plugins: { ...shared.plugins, tooltip: { callbacks: { label, title: findTitle } } },
      spanGaps: true,
      clip: 8, // pixels beyond the axes, so that lines at 0 and 100 percent are whole
      interaction: { mode: "index", intersect: false },
      scales: {
        x: { grid: {}, ticks: { maxRotation: 0 } },
        y: { min: 0, max: 100, grid: {}, ticks: { callback: percent } },
      },
    },
  };
}

function configureChart(kind, data, width) {
  const isBeside = kind === "ring" && width >= WIDE_FROM;
  const legend = { position: isBeside ? "right" : "bottom", labels: { boxWidth: 12 } };
  const shared = { locale: document.documentElement.lang, plugins: { legend } };
  if (kind === "ring") return { type: "doughnut", data, options: { ...shared, cutout: "65%", scales: {} } };
  if (kind === "lines") return configureLines(data, shared);
  const isHorizontal = kind === "horizontal";
  const names = { stacked: true, grid: { display: false }, ticks: { maxRotation: 0, autoSkip: !isHorizontal } };
  const longest = width >= WIDE_FROM ? LONGEST_NAME : LONGEST_NARROW_NAME;
  if (isHorizontal) names.ticks.callback = function (value) { return shorten(this.getLabelForValue(value), longest); };
  else names.afterBuildTicks = keepWholeMinutes;
  const counts = { stacked: true, beginAtZero: true, grid: {}, ticks: { precision: 0 } };
  return {
    type: "bar",
    data,
    options: {
      ...shared,
      datasets: { bar: { maxBarThickness: WIDEST_BAR } },
      indexAxis: isHorizontal ? "y" : "x",
      interaction: { mode: "index", axis: isHorizontal ? "y" : "x", intersect: false },
      scales: isHorizontal ? { x: counts, y: names } : { x: names, y: counts },
    },
  };
}

function draw(figure) {
  const { kind, limit, chartOf } = figure.dataset;
  const canvas = figure.querySelector("canvas");
  const data = readTable(document.getElementById(chartOf), Number(limit));
  const snapshot = JSON.stringify(data); // before Chart.js adds its own properties
  let chart = Chart.getChart(canvas);
  if (chart && chart.snapshot === snapshot) return;
  figure.hidden = !data.datasets.length;
  if (figure.hidden) return;
  if (kind === "horizontal") figure.style.height = `${5 + 2 * data.labels.length}rem`;
  if (chart) {
    chart.data = data;
    repaint(chart);
  } else {
    const config = configureChart(kind, data, figure.clientWidth);
    color(config);
    charts.push(chart = new Chart(canvas, config)); // draws it
  }
  chart.snapshot = snapshot;
}

function drawAll() {
  document.querySelectorAll("figure[data-chart-of]").forEach(draw);
}

Chart.defaults.animation = false; // growing bars only delay the reader
Chart.defaults.maintainAspectRatio = false;
drawAll();
// Redraw when the live part of the page has been updated.
document.addEventListener("htmx:afterSettle", drawAll);
new MutationObserver(() => charts.forEach(repaint))
  .observe(document.documentElement, { attributeFilter: ["data-bs-theme"] });
