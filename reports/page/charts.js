// Latency and rate over the same range of time as the timeline.

const LATENCY_PX = 210, RATE_PX = 130, TOP_PX = 8, BOTTOM_AXIS_PX = 20;
const POINTS_MAX = 6000;

// Bins of a length, aligned to the clock of the run.
function binning(length) {
  const first = Math.floor(view.start / length);
  return { length, first, count: Math.floor(view.end / length) - first + 1 };
}

// The limits of the bins, one more than there are bins.
function limitsOf(bins) {
  return Array.from({ length: bins.count + 1 }, (_, bin) => (bins.first + bin) * bins.length);
}

// Completions per bin and outcome. An operation without a completion stands in no bin.
function countsOf(bins) {
  const limits = limitsOf(bins);
  return [OK, FAIL, INFO].map((outcome) => completedBetween(view.measures.completions, outcome, limits));
}

// Per bin the quantiles of the ok operations that were invoked in it; null without any.
function quantilesOf(bins, shares) {
  const { starts, levels } = view.measures.latencies;
  const places = limitsOf(bins).map((time) => firstFrom(starts, time));
  return places.slice(1).map((to, bin) => (to === places[bin] ? null : shares.map((share) => quantileBetween(levels, share, places[bin], to))));
}

function drawCharts(run, latencyCanvas, rateCanvas) {
  const rateBox = surface(rateCanvas, RATE_PX);
  const latencyBox = surface(latencyCanvas, LATENCY_PX);
  // Some four pixels wide or wider.
  const span = view.end - view.start;
  const bins = binning(roundStep(Math.max(1, (span * 5) / Math.max(50, rateBox.right - rateBox.left))));
  // Quantiles of few operations are noise: their bins are four times as long.
  const wide = binning(bins.length * 4);
  drawLatency(run, latencyBox, wide);
  drawRate(run, rateBox, bins, countsOf(bins));
  const [latencyText, rateText] = document.querySelectorAll("[data-bin]");
  latencyText.textContent = formatDuration(wide.length);
  rateText.textContent = formatDuration(bins.length);
}

// The axis is that of all operations that pass the filters, so that it stays while one zooms.
function latencyScale([low, high] = view.measures.powers) {
  const bottom = LATENCY_PX - BOTTOM_AXIS_PX;
  const y = (us) => bottom - ((Math.log10(Math.max(1, us)) - low) / (high - low)) * (bottom - TOP_PX);
  return { low, high, y };
}

// What is behind both charts: the axis of time, the bands, and a line and its words per level.
function drawLevels(run, box, levels, y, wordsOf) {
  const bottom = box.height - BOTTOM_AXIS_PX;
  drawGrid(box, TOP_PX, bottom);
  drawBands(run, box, TOP_PX, bottom);
  for (const level of levels) {
    box.context.fillStyle = colours.grid;
    box.context.fillRect(box.left, Math.round(y(level)), box.right - box.left, 1);
    drawGutter(box, wordsOf(level), Math.max(8, y(level)));
  }
  drawAxis(box, box.height - BOTTOM_AXIS_PX / 2);
}

function drawLatency(run, box, bins) {
  const scale = latencyScale();
  const powers = Array.from({ length: scale.high - scale.low + 1 }, (_, i) => 10 ** (scale.low + i));
  drawLevels(run, box, powers, scale.y, (us) => formatDuration(us).replace(/\.0+(?= )/, ""));
  clipPlot(box, 0, LATENCY_PX - BOTTOM_AXIS_PX + 1);
  // Operations invoked within the range; `shown` is in order of invocation.
  const from = lowerBound(view.shown, run.start, view.start), to = lowerBound(view.shown, run.start, view.end);
  if (to - from <= POINTS_MAX) drawPoints(run, box, scale, view.shown.subarray(from, to));
  else drawCloud(run, box, scale);
  drawQuantiles(box, scale, bins);
  box.context.restore();
}

function drawPoints(run, box, scale, visible) {
  const { context } = box;
  const isSparse = visible.length < 1500;
  for (const outcome of [OK, FAIL, INFO]) {
    context.fillStyle = context.strokeStyle = colours[OUTCOMES[outcome]];
    context.globalAlpha = outcome === OK ? (isSparse ? 0.75 : 0.5) : 0.95;
    context.beginPath();
    for (const i of visible) {
      if (run.type[i] === outcome) pointPath(context, outcome, xOf(box, run.start[i]), scale.y(run.end[i] - run.start[i]), isSparse ? 2.2 : 1.5);
    }
    if (outcome === FAIL) context.stroke();
    else context.fill();
  }
  context.globalAlpha = 1;
  for (const i of visible) if (run.isGuilty[i]) ringPoint(run, box, scale, i);
}

function pointPath(context, outcome, x, y, size) {
  if (outcome === OK) {
    context.moveTo(x + size, y);
    context.arc(x, y, size, 0, 2 * Math.PI);
  } else if (outcome === FAIL) {
    context.moveTo(x - 3, y - 3); context.lineTo(x + 3, y + 3);
    context.moveTo(x - 3, y + 3); context.lineTo(x + 3, y - 3);
  } else {
    context.moveTo(x, y - 4); context.lineTo(x + 4, y + 3); context.lineTo(x - 4, y + 3); context.closePath();
  }
}

function ringPoint(run, box, scale, i) {
  const { context } = box;
  context.strokeStyle = colours.guilty;
  context.lineWidth = 2;
  context.beginPath();
  context.arc(xOf(box, run.start[i]), scale.y(run.end[i] - run.start[i]), 6, 0, 2 * Math.PI);
  context.stroke();
  context.lineWidth = 1;
}

// Many points: cells of two pixels, the fuller the stronger; an outcome other than ok keeps a point
// per operation as long as those are few.
function drawCloud(run, box, scale) {
  const { byOutcome, guilty } = view.measures;
  const columns = Math.ceil((box.right - box.left) / CELL_PX) + 1;
  const inSight = byOutcome.map((list) => list.subarray(lowerBound(list, run.start, view.start), lowerBound(list, run.start, view.end)));
  const total = inSight.reduce((sum, list) => sum + list.length, 0);
  // Four strengths by what a full cell holds, so that dense and sparse are told apart at each zoom.
  const full = Math.max(8, (4 * total) / (columns * 12));
  const isPoint = inSight.map((list, outcome) => outcome !== OK && list.length <= POINTS_MAX / 2);
  for (const outcome of [OK, FAIL, INFO]) if (!isPoint[outcome]) drawCells(box, colours[OUTCOMES[outcome]], cellsOf(run, box, outcome, columns), columns, full);
  for (const outcome of [FAIL, INFO]) if (isPoint[outcome]) drawPoints(run, box, scale, inSight[outcome]);
  for (const i of guilty) if (run.start[i] >= view.start && run.start[i] < view.end) ringPoint(run, box, scale, i);
}

// Every cell is a pixel of a small picture, which is drawn at twice its size: thousands of rectangles
// would take longer.
function drawCells(box, colour, cells, columns, full) {
  const rows = cells.length / columns, picture = document.createElement("canvas");
  picture.width = columns;
  picture.height = rows;
  const image = new ImageData(columns, rows), pixels = new Uint32Array(image.data.buffer), ink = inkOf(colour);
  for (let cell = 0; cell < cells.length; cell++) {
    const share = cells[cell] / full;
    if (share) pixels[cell] = ink | ((share < 0.06 ? 56 : share < 0.25 ? 107 : share < 1 ? 173 : 242) << 24);
  }
  picture.getContext("2d").putImageData(image, 0, 0);
  box.context.imageSmoothingEnabled = false;
  box.context.drawImage(picture, box.left, 0, CELL_PX * columns, CELL_PX * rows);
}

function drawQuantiles(box, scale, bins) {
  const { context } = box;
  const lines = [[0.5, []], [0.95, [5, 3]], [0.99, [1.5, 2.5]]];
  const quantiles = quantilesOf(bins, lines.map(([share]) => share));
  for (const [line, [, dash]] of lines.entries()) {
    context.setLineDash(dash);
    context.beginPath();
    let isDown = false;
    quantiles.forEach((ofBin, bin) => {
      // A bin with no ok operation breaks the line: nothing is known there.
      if (!ofBin) { isDown = false; return; }
      const x = xOf(box, (bins.first + bin + 0.5) * bins.length), y = scale.y(ofBin[line]);
      // A dash, so that a bin between two gaps can be seen.
      if (!isDown) context.moveTo(x - 4, y);
      context.lineTo(isDown ? x : x + 4, y);
      isDown = true;
    });
    context.strokeStyle = colours.panel;
    context.lineWidth = 4;
    if (!dash.length) context.stroke();
    context.strokeStyle = colours.ink;
    context.lineWidth = 1.5;
    context.stroke();
  }
  context.setLineDash([]);
  context.lineWidth = 1;
}

function drawRate(run, box, bins, rates) {
  const bottom = RATE_PX - BOTTOM_AXIS_PX;
  const perSecond = 1e6 / bins.length;
  let most = 0;
  for (let bin = 0; bin < bins.count; bin++) most = Math.max(most, (rates[OK][bin] + rates[FAIL][bin] + rates[INFO][bin]) * perSecond);
  const step = Math.max(1, roundStep(Math.max(1, most) / 3));
  const limit = Math.max(step, Math.ceil(most / step) * step);
  const y = (rate) => bottom - (rate / limit) * (bottom - TOP_PX);
  const levels = Array.from({ length: Math.round(limit / step) + 1 }, (_, i) => i * step);
  drawLevels(run, box, levels, y, (rate) => `${rate.toLocaleString("en")} /s`);
  clipPlot(box, TOP_PX, bottom);
  for (let bin = 0; bin < bins.count; bin++) drawStack(box, bins, rates, bin, perSecond, y);
  box.context.restore();
}

function drawStack(box, bins, rates, bin, perSecond, y) {
  const { context } = box;
  const x0 = xOf(box, (bins.first + bin) * bins.length), x1 = xOf(box, (bins.first + bin + 1) * bins.length);
  let below = 0;
  for (const outcome of [OK, FAIL, INFO]) {
    const rate = rates[outcome][bin] * perSecond;
    if (!rate) continue;
    const colour = colours[OUTCOMES[outcome]];
    const height = Math.max(1, y(below) - y(below + rate));
    context.fillStyle = outcome === INFO ? hatch(context, colour) : colour;
    context.globalAlpha = outcome === OK ? 0.6 : 1;
    context.fillRect(x0, y(below + rate), Math.max(1, x1 - x0 - 0.6), height);
    below += rate;
  }
  context.globalAlpha = 1;
}

// The point nearest to the pointer, within a few pixels.
function hitLatency(run, canvas, clientX, clientY) {
  const box = plotOf(canvas), scale = latencyScale();
  const x = clientX - box.x, y = clientY - box.y;
  const slack = ((view.end - view.start) / (box.right - box.left)) * 7;
  const time = timeAt(canvas, clientX);
  const from = lowerBound(view.shown, run.start, time - slack), to = lowerBound(view.shown, run.start, time + slack);
  const far = (i) => Math.hypot(xOf(box, run.start[i]) - x, scale.y(run.end[i] - run.start[i]) - y);
  const i = nearestBy(view.shown.subarray(from, to), far, 7);
  return i === undefined ? null : { operation: i };
}
