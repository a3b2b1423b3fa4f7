// A strip of the whole run: how many operations completed, faults, anomalies, and the range shown.

const OVERVIEW_PX = 40, DENSITY_PX = 4, DENSITY_BIN_PX = 2;

function drawOverview(run, canvas) {
  const box = surface(canvas, OVERVIEW_PX, { start: 0, end: view.whole });
  const { context } = box;
  canvas.dataset.faults = drawFaultsOfRun(run, box);
  context.globalAlpha = HATCH_ALPHA;
  context.fillStyle = hatch(context, colours.muted);
  for (const wait of run.waitSpans.list) fillSpan(box, wait, 0, OVERVIEW_PX);
  context.globalAlpha = 0.55;
  drawCompletions(box, box.right - box.left);
  context.globalAlpha = 1;
  context.fillStyle = colours.guilty;
  for (const i of run.guiltyOperations) context.fillRect(xOf(box, run.start[i]) - 1, 0, 2, OVERVIEW_PX);
  drawGutter(box, "whole run", OVERVIEW_PX / 2);
  const x0 = xOf(box, view.start), x1 = Math.max(x0 + 4, xOf(box, view.end));
  context.fillStyle = colours.panel;
  context.globalAlpha = 0.6;
  context.fillRect(box.left, 0, x0 - box.left, OVERVIEW_PX);
  context.fillRect(x1, 0, box.right - x1, OVERVIEW_PX);
  context.globalAlpha = 1;
  context.strokeStyle = colours.link;
  context.lineWidth = 2;
  context.strokeRect(x0, 1, x1 - x0, OVERVIEW_PX - 2);
  context.lineWidth = 1;
  // Crashes stay in sight whatever range is shown.
  for (const down of run.downs) if (!down.asked) drawUnasked(box, down, UNASKED_PX / 2 + DENSITY_PX + 1);
}

function fillSpan(box, span, top, height) {
  const [x0, x1] = edges(box, span);
  box.context.fillRect(x0, top, Math.max(1, x1 - x0), height);
}

// Few faults shade the strip. Many would cover all of it: a thin line says how many were in force.
function drawFaultsOfRun(run, box) {
  if (run.bands.length > SHADED_MAX) {
    drawFaultLine(run, box);
    return "density";
  }
  for (const band of run.bands) {
    box.context.fillStyle = kindColour(run, band.fault);
    box.context.globalAlpha = 0.16;
    fillSpan(box, band, 0, OVERVIEW_PX);
  }
  return "shaded";
}

function drawFaultLine(run, box) {
  const count = Math.max(1, Math.ceil((box.right - box.left) / DENSITY_BIN_PX));
  const binOf = (time) => Math.min(count - 1, Math.floor((xOf(box, time) - box.left) / DENSITY_BIN_PX));
  const changes = new Int32Array(count + 1);
  for (const band of run.bands) {
    changes[binOf(band.held)]++;
    changes[binOf(band.end) + 1]--;
  }
  const inForce = addUp(changes), most = inForce.reduce((high, number) => Math.max(high, number), 1);
  box.context.fillStyle = colours.info;
  inForce.subarray(0, count).forEach((number, bin) => {
    box.context.globalAlpha = number ? 0.2 + (0.8 * number) / most : 0;
    box.context.fillRect(box.left + bin * DENSITY_BIN_PX, 0, DENSITY_BIN_PX, DENSITY_PX);
  });
}

// How many operations completed ok, in bars of three pixels.
function drawCompletions(box, width) {
  const count = Math.max(1, Math.floor(width / 3));
  const limits = Array.from({ length: count + 1 }, (_, bin) => (bin === count ? Infinity : (bin / count) * view.whole));
  const bins = completedBetween(view.measures.completions, OK, limits);
  const most = Math.max(1, ...bins);
  box.context.fillStyle = colours.ok;
  bins.forEach((number, bin) => {
    const height = (number / most) * (OVERVIEW_PX - 8);
    box.context.fillRect(box.left + (bin * width) / count, OVERVIEW_PX - height, 2.4, height);
  });
}

// Drag to choose a range; a click goes there with the range it has.
function listenOverview(canvas) {
  let from = null;
  const timeOf = (event) => shareAt(canvas, event.clientX) * view.whole;
  canvas.addEventListener("pointerdown", (event) => {
    from = timeOf(event);
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (from === null) return;
    const to = timeOf(event);
    if (Math.abs(to - from) > view.whole / 300) showRange(Math.min(from, to), Math.max(from, to));
  });
  canvas.addEventListener("pointerup", (event) => {
    const to = timeOf(event), half = (view.end - view.start) / 2;
    if (from !== null && Math.abs(to - from) <= view.whole / 300) showRange(to - half, to + half);
    from = null;
  });
  canvas.addEventListener("dblclick", () => showHome());
}
