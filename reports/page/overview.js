// A strip of the whole run: how many operations completed, faults, anomalies, and the range shown.

const OVERVIEW_PX = 40;

function drawOverview(run, canvas) {
  const box = surface(canvas, OVERVIEW_PX);
  const { context } = box;
  const width = box.right - box.left;
  const x = (time) => box.left + (time / view.whole) * width;
  for (const band of run.bands) {
    context.fillStyle = kindColour(run, band.fault);
    context.globalAlpha = 0.16;
    context.fillRect(x(band.start), 0, Math.max(1, x(band.end) - x(band.start)), OVERVIEW_PX);
  }
  context.globalAlpha = 0.55;
  drawCompletions(box, width);
  context.globalAlpha = 1;
  context.fillStyle = colours.guilty;
  for (const i of run.guiltyOperations) context.fillRect(x(run.start[i]) - 1, 0, 2, OVERVIEW_PX);
  drawGutter(box, "whole run", OVERVIEW_PX / 2);
  const x0 = x(view.start), x1 = Math.max(x0 + 4, x(view.end));
  context.fillStyle = colours.panel;
  context.globalAlpha = 0.6;
  context.fillRect(box.left, 0, x0 - box.left, OVERVIEW_PX);
  context.fillRect(x1, 0, box.right - x1, OVERVIEW_PX);
  context.globalAlpha = 1;
  context.strokeStyle = colours.link;
  context.lineWidth = 2;
  context.strokeRect(x0, 1, x1 - x0, OVERVIEW_PX - 2);
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
