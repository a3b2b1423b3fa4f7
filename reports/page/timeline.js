// The timeline: lanes of operations, below them the rows of faults, of the end of the run and of nodes.

const AXIS_PX = 22;
const LABEL_PX_MIN = 26, HOLLOW_PX_MIN = 5;
const ROW_LABEL_PX = 13;
const GROUP_ROW_PX_MIN = 7;

// Where everything stands, from top to bottom.
function timelineLayout() {
  const count = Math.max(1, view.rows.length);
  const least = view.laidBy === "worker" ? 5 : GROUP_ROW_PX_MIN;
  const laneHeight = Math.max(least, Math.min(24, Math.floor(440 / count)));
  const top = AXIS_PX, bottom = top + count * laneHeight;
  const extrasTop = bottom + GAP_PX;
  return { laneHeight, top, bottom, extrasTop, height: extrasTop + view.extrasHeight + 6, labels: [] };
}

function drawTimeline(run, canvas) {
  const layout = timelineLayout();
  const box = surface(canvas, layout.height);
  drawAxis(box, AXIS_PX / 2);
  drawGrid(box, AXIS_PX, layout.height);
  document.documentElement.dataset.shaded = drawBands(run, box, layout.top, layout.height);
  drawNames(box, layout);
  placeLabels(run, layout);
  clipPlot(box, 0, layout.height);
  drawDownLanes(box, layout);
  drawLanes(run, box, layout);
  drawWaitLabels(run, box, (layout.top + layout.bottom) / 2);
  drawExtras(run, box, layout);
  drawChosen(run, box, layout);
  box.context.restore();
}

// Rows that are too thin for a name share one; a group has its name at its first row.
function drawNames(box, layout) {
  const { context } = box;
  const name = (row, y) => layout.labels.push({ row, y, isCut: drawGutter(box, nameOf(row), y) });
  let free = 0;
  view.rows.forEach((row, lane) => {
    const y = layout.top + lane * layout.laneHeight, middle = y + Math.max(layout.laneHeight, ROW_LABEL_PX) / 2 + 0.5;
    context.fillStyle = colours.grid;
    if (row.isFirst && middle >= free) context.fillRect(0, y, box.width, 1);
    if (!row.isFirst || middle < free) return;
    free = middle + ROW_LABEL_PX;
    name(row, middle);
  });
  for (const row of view.extras) name(row, layout.extrasTop + row.y + EXTRA_LANE_PX / 2);
  context.fillStyle = colours.line;
  context.fillRect(box.left, layout.top, 1, layout.height);
  view.extras.forEach((row, i) => {
    if (i === 0 || isOfNode(row) !== isOfNode(view.extras[i - 1])) context.fillRect(0, layout.extrasTop + row.y - GAP_PX / 2, box.width, 1);
  });
}

function isOfNode(row) {
  return row.type === "node";
}

// First what is closer than pixels, in one picture of all lanes; then what stands alone.
function drawLanes(run, box, layout) {
  const pad = layout.laneHeight > 12 ? 3 : layout.laneHeight > 7 ? 1.5 : 0.5;
  const lanes = view.rows.map((row) => columnsOf(run, box, row));
  const lines = layout.laneHeight - 2 * pad;
  const picture = new Picture(Math.max(1, Math.ceil(box.right - box.left)), layout.bottom - layout.top);
  lanes.forEach((lane, at) => picture.add(lane, at * layout.laneHeight + Math.floor(pad), lines));
  picture.draw(box, box.left, layout.top);
  for (const [at, row] of view.rows.entries()) drawLane(run, box, layout, row, lanes[at].bars, layout.top + at * layout.laneHeight + pad, lines);
}

function drawLane(run, box, layout, row, bars, y, height) {
  const guilty = barsOfLook(run, box, row.looks[GUILTY]);
  for (const outcome of [OK, FAIL, INFO]) {
    for (let k = 0; k < bars[outcome].length; k += 3) drawBar(box, outcome, bars[outcome][k + 1], y, bars[outcome][k + 2], height);
  }
  for (let k = 0; k < guilty.length; k += 3) drawGuilty(run, box, guilty, k, y, height);
  if (layout.laneHeight >= 14) drawLabels(run, box, row.list, [...bars, guilty], y + height / 2);
}

// Of operations that do not overlap: each that shows, where it begins, and how wide it is. Those within
// pixels that another covers already add nothing and are leapt over.
function barsOfLook(run, box, list) {
  const bars = [];
  const scale = (box.right - box.left) / (view.end - view.start);
  const [from, to] = between(run, list, view.start, view.end);
  for (let at = from; at < to;) {
    const i = list[at++];
    const x0 = Math.max(box.left, box.left + (run.start[i] - view.start) * scale);
    const x1 = Math.max(x0 + 1, Math.min(box.right, box.left + (run.end[i] - view.start) * scale));
    bars.push(i, x0, x1 - x0);
    at = leap(list, run.end, view.start + (Math.ceil(x1) - box.left) / scale, at, to);
  }
  return bars;
}

// The first position from a place on whose value is not below a limit: mostly near, so steps grow.
function leap(list, values, limit, from, to) {
  let reach = 1;
  while (from + reach <= to && values[list[from + reach - 1]] < limit) reach *= 2;
  let low = from + (reach >> 1), high = Math.min(to, from + reach);
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[list[middle]] < limit) low = middle + 1;
    else high = middle;
  }
  return low;
}

// What is narrow stands in the columns already, unless an anomaly names it.
function drawBar(box, outcome, x, y, width, height, isAlone = false) {
  const { context } = box;
  const colour = colours[OUTCOMES[outcome]];
  context.fillStyle = colour;
  if (width < HOLLOW_PX_MIN) {
    if (isAlone) context.fillRect(x, y, width, height);
    return;
  }
  context.globalAlpha = outcome === FAIL ? 0.08 : outcome === INFO ? 0.14 : 0.34;
  context.fillRect(x, y, width, height);
  context.globalAlpha = 1;
  if (outcome === INFO) {
    context.fillStyle = hatch(context, colour);
    context.fillRect(x, y, width, height);
  }
  context.strokeStyle = colour;
  context.beginPath();
  if (outcome === INFO) {
    // Open to the right: nobody knows when it took effect, if it did.
    context.moveTo(x + width, y + 0.5);
    context.lineTo(x + 0.5, y + 0.5);
    context.lineTo(x + 0.5, y + height - 0.5);
    context.lineTo(x + width, y + height - 0.5);
  } else {
    context.rect(x + 0.5, y + 0.5, width - 1, height - 1);
  }
  context.stroke();
}

function drawGuilty(run, box, bars, k, y, height) {
  const { context } = box;
  const i = bars[k], x = bars[k + 1], width = bars[k + 2];
  drawBar(box, run.type[i], x, y, width, height, true);
  outline(context, colours.guilty, x, y, width, height, 2);
  context.fillStyle = colours.guilty;
  context.beginPath();
  context.moveTo(x + width / 2 - 5, y - 5);
  context.lineTo(x + width / 2 + 5, y - 5);
  context.lineTo(x + width / 2, y + 2);
  context.fill();
}

function outline(context, colour, x, y, width, height, thickness) {
  context.strokeStyle = colour;
  context.lineWidth = thickness;
  context.strokeRect(x - 2, y - 2, Math.max(4, width + 4), height + 4);
  context.lineWidth = 1;
}

// Words stand in the bar, or to its right where the next bar of the lane leaves room.
function drawLabels(run, box, list, bars, y) {
  const { context } = box;
  context.textAlign = "left";
  for (const ofLook of bars) {
    for (let k = 0; k < ofLook.length; k += 3) {
      const i = ofLook[k], x = Math.max(box.left, ofLook[k + 1]), end = ofLook[k + 1] + ofLook[k + 2];
      // The next of the same look is no nearer than the next of the lane, and is at hand.
      if (k + 3 < ofLook.length && ofLook[k + 4] - x < LABEL_PX_MIN) continue;
      const following = list[lowerBound(list, run.index, run.index[i]) + 1];
      const after = following === undefined ? box.right : xOf(box, run.start[following]);
      const next = Math.min(after, waitAfter(run, box, run.end[i]));
      if (next - x < LABEL_PX_MIN) continue;
      const text = labelOf(run, i);
      const width = context.measureText(text).width;
      const isInside = width + 8 <= end - x;
      const room = isInside ? end - x : next - end;
      if (width + 10 > room) continue;
      const left = isInside ? x + 4 : end + 5;
      if (run.type[i] === INFO) halo(context, text, left, y + 0.5);
      context.fillStyle = run.isGuilty[i] ? colours.guilty : colours.ink;
      context.fillText(text, left, y + 0.5);
    }
  }
}

// Where the next wait begins, which has words of its own.
function waitAfter(run, box, time) {
  const { starts } = run.waitSpans, place = firstFrom(starts, time - 1);
  return place < starts.length ? xOf(box, starts[place]) : Infinity;
}

// Words on hatching need ground under them.
function halo(context, text, x, y) {
  context.strokeStyle = colours.panel;
  context.lineWidth = 4;
  context.lineJoin = "round";
  context.strokeText(text, x, y);
  context.lineWidth = 1;
}

function drawChosen(run, box, layout) {
  for (const [i, colour] of [[view.focused, colours.muted], [view.selected, colours.link]]) {
    if (i < 0 || view.rowOf[i] < 0) continue;
    const x0 = Math.max(box.left - 6, xOf(box, run.start[i])), x1 = Math.min(box.right + 6, xOf(box, run.end[i]));
    const y = layout.top + view.rowOf[i] * layout.laneHeight;
    if (x1 < box.left || x0 > box.right) continue;
    outline(box.context, colour, x0, y + 2, Math.max(2, x1 - x0), layout.laneHeight - 4, 2.5);
  }
}

// What stands at a point of the timeline: an operation, a fault, what happened to a node, a wait, or null.
function hitTimeline(run, canvas, clientX, clientY) {
  const layout = timelineLayout();
  const y = clientY - canvas.getBoundingClientRect().top;
  const time = timeAt(canvas, clientX);
  const reach = ((view.end - view.start) / Math.max(1, canvas.clientWidth - gutter())) * 5;
  if (time < view.start || time > view.end) return null;
  if (y >= layout.extrasTop) return hitExtras(y - layout.extrasTop, time, reach);
  const lane = Math.floor((y - layout.top) / layout.laneHeight);
  const hit = lane >= 0 && lane < view.rows.length ? hitLane(run, lane, time, reach) : null;
  const wait = hit ? undefined : spansWithin(run.waitSpans, time, time)[0];
  return hit ?? (wait ? { wait } : null);
}

// The operation under the pointer; the ones that matter more are hit from further away.
function hitLane(run, lane, time, reach) {
  const row = view.rows[lane];
  const distance = (i) => Math.max(0, run.start[i] - time, time - run.end[i]);
  const rank = (i) => distance(i) - (run.isGuilty[i] ? 2 * reach : run.type[i] === OK ? 0 : reach / 2);
  // Of each look only the one at this time, or the ones just before and after it, can be nearest.
  const near = row.looks.flatMap((list) => {
    const at = lowerBound(list, run.end, time);
    return [list[at - 1], list[at]].filter((i) => i !== undefined && distance(i) <= reach);
  });
  const i = nearestBy(near, rank, Infinity);
  return i === undefined ? null : { operation: i };
}

function nearestBy(items, distance, limit) {
  let best, least = limit;
  for (const item of items) {
    const far = distance(item);
    if (far < least || (far === least && best === undefined)) [best, least] = [item, far];
  }
  return best;
}
