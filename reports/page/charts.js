// Latency and rate over the same range of time as the timeline.

const LATENCY_PX = 210, RATE_PX = 130, TOP_PX = 8, BOTTOM_AXIS_PX = 20;
const POINTS_MAX = 6000;

// Bins of a length, aligned to the clock of the run.
function binning(length) {
  const first = Math.floor(view.start / length);
  return { length, first, count: Math.floor(view.end / length) - first + 1 };
}

// Completions per bin and outcome, and the latencies of the ok ones per bin. An operation without a
// completion never completed: it stands in no bin.
function collectBins(run, bins) {
  const counts = [0, 1, 2].map(() => new Float64Array(bins.count));
  const latencies = Array.from({ length: bins.count }, () => []);
  for (const lane of view.lanes) {
    const [from, to] = between(run, lane, bins.first * bins.length, (bins.first + bins.count) * bins.length);
    for (let at = from; at < to; at++) {
      const i = lane[at];
      const bin = Math.floor(run.end[i] / bins.length) - bins.first;
      if (run.done[i] && bin >= 0 && bin < bins.count) counts[run.type[i]][bin] += run.weight ? run.weight[i] : 1;
      const startBin = Math.floor(run.start[i] / bins.length) - bins.first;
      if (run.type[i] === OK && startBin >= 0 && startBin < bins.count) latencies[startBin].push(run.end[i] - run.start[i]);
    }
  }
  return { counts, latencies };
}

function drawCharts(run, latencyCanvas, rateCanvas) {
  const rateBox = surface(rateCanvas, RATE_PX);
  const latencyBox = surface(latencyCanvas, LATENCY_PX);
  // Some four pixels wide or wider.
  const span = view.end - view.start;
  const bins = binning(roundStep(Math.max(1, (span * 5) / Math.max(50, rateBox.right - rateBox.left))));
  // Quantiles of few operations are noise: their bins are four times as long.
  const wide = binning(bins.length * 4);
  drawLatency(run, latencyBox, wide, collectBins(run, wide).latencies);
  drawRate(run, rateBox, bins, collectBins(run, bins).counts);
  const [latencyText, rateText] = document.querySelectorAll("[data-bin]");
  latencyText.textContent = formatDuration(wide.length);
  rateText.textContent = formatDuration(bins.length);
}

// Of all operations that pass the filters, so that the axis stays while one zooms.
function latencyRange(run) {
  if (view.latencyRange) return view.latencyRange;
  let least = Infinity, most = 1;
  for (const i of view.shown) {
    const took = Math.max(1, run.end[i] - run.start[i]);
    if (took < least) least = took;
    if (took > most) most = took;
  }
  if (least === Infinity) least = 100;
  const low = Math.floor(Math.log10(least));
  view.latencyRange = [low, Math.max(low + 1, Math.ceil(Math.log10(most)))];
  return view.latencyRange;
}

function latencyScale(run) {
  const [low, high] = latencyRange(run), bottom = LATENCY_PX - BOTTOM_AXIS_PX;
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

function drawLatency(run, box, bins, latencies) {
  const scale = latencyScale(run);
  const powers = Array.from({ length: scale.high - scale.low + 1 }, (_, i) => 10 ** (scale.low + i));
  drawLevels(run, box, powers, scale.y, (us) => formatDuration(us).replace(/\.0+(?= )/, ""));
  clipPlot(box, 0, LATENCY_PX - BOTTOM_AXIS_PX + 1);
  const visible = view.shown.length ? visibleByStart(run) : [];
  if (visible.length <= POINTS_MAX) drawPoints(run, box, scale, visible);
  else drawDensity(run, box, scale, visible);
  drawQuantiles(box, scale, bins, latencies);
  box.context.restore();
}

// Operations invoked within the range; `shown` is in order of invocation.
function visibleByStart(run) {
  return view.shown.slice(lowerBound(view.shown, run.start, view.start), lowerBound(view.shown, run.start, view.end));
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
function drawDensity(run, box, scale, visible) {
  const { context } = box;
  const columns = Math.ceil((box.right - box.left) / 2), rows = Math.ceil(box.height / 2);
  const cells = [0, 1, 2].map(() => new Uint32Array(columns * rows));
  const factor = (box.right - box.left) / (view.end - view.start) / 2;
  const totals = [0, 0, 0];
  for (const i of visible) totals[run.type[i]]++;
  const isPoint = totals.map((total, outcome) => outcome !== OK && total <= POINTS_MAX / 2);
  const others = [], guilty = [];
  for (const i of visible) {
    if (run.isGuilty[i]) guilty.push(i);
    if (isPoint[run.type[i]]) { others.push(i); continue; }
    const column = ((run.start[i] - view.start) * factor) | 0;
    const row = (scale.y(run.end[i] - run.start[i]) / 2) | 0;
    cells[run.type[i]][row * columns + column]++;
  }
  for (const outcome of [OK, FAIL, INFO]) {
    context.fillStyle = colours[OUTCOMES[outcome]];
    // Four strengths, so that the style changes four times and not once per cell.
    const byStrength = [[], [], [], []];
    for (let cell = 0; cell < cells[outcome].length; cell++) {
      const number = cells[outcome][cell];
      if (number) byStrength[number < 2 ? 0 : number < 4 ? 1 : number < 8 ? 2 : 3].push(cell);
    }
    byStrength.forEach((strong, strength) => {
      context.globalAlpha = [0.3, 0.5, 0.7, 0.95][strength];
      for (const cell of strong) context.fillRect(box.left + (cell % columns) * 2, Math.floor(cell / columns) * 2, 2, 2);
    });
  }
  context.globalAlpha = 1;
  drawPoints(run, box, scale, others);
  for (const i of guilty) ringPoint(run, box, scale, i);
}

function drawQuantiles(box, scale, bins, latencies) {
  const { context } = box;
  const sorted = latencies.map((list) => Float64Array.from(list).sort());
  for (const [q, dash] of [[0.5, []], [0.95, [5, 3]], [0.99, [1.5, 2.5]]]) {
    context.setLineDash(dash);
    context.beginPath();
    let isDown = false;
    sorted.forEach((list, bin) => {
      // A bin with no ok operation breaks the line: nothing is known there.
      if (!list.length) { isDown = false; return; }
      const x = xOf(box, (bins.first + bin + 0.5) * bins.length), y = scale.y(list[Math.ceil(q * list.length) - 1]);
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
  const box = plotOf(canvas), scale = latencyScale(run);
  const x = clientX - box.x, y = clientY - box.y;
  const slack = ((view.end - view.start) / (box.right - box.left)) * 7;
  const time = timeAt(canvas, clientX);
  const from = lowerBound(view.shown, run.start, time - slack), to = lowerBound(view.shown, run.start, time + slack);
  const far = (i) => Math.hypot(xOf(box, run.start[i]) - x, scale.y(run.end[i] - run.start[i]) - y);
  const i = nearestBy(view.shown.slice(from, to), far, 7);
  return i === undefined ? null : { operation: i };
}
