// The timeline: a lane per worker, below them a lane per fault and a lane per node.

const AXIS_PX = 22, EXTRA_LANE_PX = 20, GAP_PX = 8;
const LABEL_PX_MIN = 26;

// Where everything stands, from top to bottom.
function timelineLayout(run) {
  const laneHeight = Math.max(5, Math.min(24, Math.floor(440 / run.laneCount)));
  const top = AXIS_PX;
  const faultsTop = top + run.laneCount * laneHeight + GAP_PX;
  const nodesTop = faultsTop + run.kinds.length * EXTRA_LANE_PX + (run.kinds.length ? GAP_PX : 0);
  const height = nodesTop + run.nodes.length * EXTRA_LANE_PX + 6;
  return { laneHeight, top, faultsTop, nodesTop, height };
}

function drawTimeline(run, canvas) {
  const layout = timelineLayout(run);
  const box = surface(canvas, layout.height);
  drawAxis(box, AXIS_PX / 2);
  drawGrid(box, AXIS_PX, layout.height);
  drawBands(run, box, layout.top, layout.height);
  drawLaneNames(run, box, layout);
  clipPlot(box, layout.top, layout.height);
  for (let lane = 0; lane < run.laneCount; lane++) drawLane(run, box, layout, lane);
  drawFaultLanes(run, box, layout);
  drawNodeLanes(run, box, layout);
  drawChosen(run, box, layout);
  box.context.restore();
}

function drawLaneNames(run, box, layout) {
  const { context } = box;
  const every = Math.ceil(13 / layout.laneHeight);
  context.fillStyle = colours.grid;
  for (let lane = 0; lane <= run.laneCount; lane += every) {
    context.fillRect(0, layout.top + lane * layout.laneHeight, box.width, 1);
  }
  for (let lane = 0; lane < run.laneCount; lane += every) {
    drawGutter(box, `worker ${lane}`, layout.top + (lane + 0.5) * layout.laneHeight + 0.5);
  }
  run.kinds.forEach((kind, i) => drawGutter(box, kind, layout.faultsTop + (i + 0.5) * EXTRA_LANE_PX));
  run.nodes.forEach((node, i) => drawGutter(box, node, layout.nodesTop + (i + 0.5) * EXTRA_LANE_PX));
  context.fillStyle = colours.line;
  context.fillRect(box.left, layout.top, 1, layout.height);
  context.fillRect(0, layout.faultsTop - GAP_PX / 2, box.width, 1);
  if (run.kinds.length) context.fillRect(0, layout.nodesTop - GAP_PX / 2, box.width, 1);
}

// Bars of one lane. An operation within pixels that its outcome already covers adds nothing, so a
// lane costs at most a bar per pixel and outcome however many operations it holds.
function drawLane(run, box, layout, lane) {
  const list = view.lanes[lane];
  const [from, to] = between(run, list, view.start, view.end);
  const covered = [-1, -1, -1, -1];
  const bars = [[], [], [], []];
  const scale = (box.right - box.left) / (view.end - view.start);
  for (let at = from; at < to; at++) {
    const i = list[at];
    const outcome = run.isGuilty[i] ? 3 : run.type[i];
    const x0 = Math.max(box.left, box.left + (run.start[i] - view.start) * scale);
    const x1 = Math.max(x0 + 1, Math.min(box.right, box.left + (run.end[i] - view.start) * scale));
    if (x1 <= covered[outcome]) continue;
    covered[outcome] = Math.ceil(x1);
    bars[outcome].push(i, x0, x1 - x0, at);
  }
  const pad = layout.laneHeight > 12 ? 3 : layout.laneHeight > 7 ? 1.5 : 0.5;
  const y = layout.top + lane * layout.laneHeight + pad, height = layout.laneHeight - 2 * pad;
  for (const outcome of [OK, FAIL, INFO]) {
    for (let k = 0; k < bars[outcome].length; k += 4) drawBar(box, outcome, bars[outcome][k + 1], y, bars[outcome][k + 2], height);
  }
  for (let k = 0; k < bars[3].length; k += 4) drawGuilty(run, box, bars[3], k, y, height);
  if (layout.laneHeight >= 14) drawLabels(run, box, list, bars, y + height / 2);
}

function drawBar(box, outcome, x, y, width, height) {
  const { context } = box;
  const colour = colours[OUTCOMES[outcome]];
  context.fillStyle = colour;
  if (width < 5) {
    // Too narrow to be hollow: half as high, so that the ok ones of the same pixels stay in sight.
    const top = outcome === FAIL ? height * 0.55 : 0;
    context.fillRect(x, y + top, width, height - top);
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
  drawBar(box, run.type[i], x, y, width, height);
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
  for (const ofOutcome of bars) {
    for (let k = 0; k < ofOutcome.length; k += 4) {
      const i = ofOutcome[k], x = Math.max(box.left, ofOutcome[k + 1]), at = ofOutcome[k + 3];
      const end = ofOutcome[k + 1] + ofOutcome[k + 2];
      const next = at + 1 < list.length ? xOf(box, run.start[list[at + 1]]) : box.right;
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

// Words on hatching need ground under them.
function halo(context, text, x, y) {
  context.strokeStyle = colours.panel;
  context.lineWidth = 4;
  context.lineJoin = "round";
  context.strokeText(text, x, y);
  context.lineWidth = 1;
}

function drawFaultLanes(run, box, layout) {
  const { context } = box;
  for (const band of run.bands) {
    if (band.end < view.start || band.start > view.end) continue;
    const y = layout.faultsTop + run.kinds.indexOf(band.fault) * EXTRA_LANE_PX + 2;
    const x0 = Math.max(box.left - 4, xOf(box, band.start)), x1 = Math.min(box.right + 4, xOf(box, band.end));
    drawFaultBar(run, box, band, x0, y, Math.max(3, x1 - x0));
  }
  context.textAlign = "center";
  for (const mark of run.marks) {
    const y = layout.faultsTop + (run.kinds.indexOf(mark.fault) + 0.5) * EXTRA_LANE_PX;
    context.fillStyle = kindColour(run, mark.fault);
    context.fillText("◇", xOf(box, mark.time), y);
  }
}

function drawFaultBar(run, box, band, x, y, width) {
  const { context } = box;
  context.fillStyle = kindColour(run, band.fault);
  context.globalAlpha = 0.3;
  context.fillRect(x, y, width, EXTRA_LANE_PX - 4);
  context.globalAlpha = 1;
  context.fillRect(x, y, 2, EXTRA_LANE_PX - 4);
  const text = band.targets.join(" ") || band.f;
  const from = Math.max(box.left, x) + 6;
  if (context.measureText(text).width + 8 > x + width - from) return;
  context.textAlign = "left";
  context.fillStyle = colours.ink;
  context.fillText(text, from, y + EXTRA_LANE_PX / 2 - 2);
}

// A node's lane shows which faults struck it and what happened to it.
function drawNodeLanes(run, box, layout) {
  const { context } = box;
  const middle = (node) => layout.nodesTop + (run.nodes.indexOf(node) + 0.5) * EXTRA_LANE_PX;
  for (const band of run.bands) {
    if (band.end < view.start || band.start > view.end) continue;
    context.fillStyle = kindColour(run, band.fault);
    for (const node of band.targets) {
      if (!run.nodes.includes(node)) continue;
      const x0 = xOf(box, band.start);
      context.fillRect(x0, middle(node) + 5, Math.max(2, xOf(box, band.end) - x0), 3);
    }
  }
  context.textAlign = "center";
  context.fillStyle = colours.ink;
  for (const event of run.node_events) {
    if (event.time < view.start || event.time > view.end) continue;
    context.fillText(event.mark, xOf(box, event.time), middle(event.node) - 2);
  }
}

function drawChosen(run, box, layout) {
  for (const [i, colour] of [[view.focused, colours.muted], [view.selected, colours.link]]) {
    if (i < 0) continue;
    const x0 = Math.max(box.left - 6, xOf(box, run.start[i])), x1 = Math.min(box.right + 6, xOf(box, run.end[i]));
    const y = layout.top + run.lane[i] * layout.laneHeight;
    if (x1 < box.left || x0 > box.right) continue;
    outline(box.context, colour, x0, y + 2, Math.max(2, x1 - x0), layout.laneHeight - 4, 2.5);
  }
}

// What stands at a point of the timeline: an operation, a fault, a node event, or null.
function hitTimeline(run, canvas, clientX, clientY) {
  const layout = timelineLayout(run);
  const y = clientY - canvas.getBoundingClientRect().top;
  const time = timeAt(canvas, clientX);
  const reach = ((view.end - view.start) / Math.max(1, canvas.clientWidth - gutter())) * 5;
  if (time < view.start || time > view.end) return null;
  const distance = (one) => Math.abs(one.time - time);
  const isIn = (band, slack) => time >= band.start - slack && time <= band.end + slack;
  if (y >= layout.nodesTop) {
    const node = run.nodes[Math.floor((y - layout.nodesTop) / EXTRA_LANE_PX)];
    const event = nearestBy(run.node_events.filter((one) => one.node === node), distance, reach);
    const band = run.bands.find((one) => one.targets.includes(node) && isIn(one, 0));
    return event ? { event } : band ? { band } : null;
  }
  if (y >= layout.faultsTop) {
    const kind = run.kinds[Math.floor((y - layout.faultsTop) / EXTRA_LANE_PX)];
    const mark = nearestBy(run.marks.filter((one) => one.fault === kind), distance, reach);
    const band = mark ?? run.bands.find((one) => one.fault === kind && isIn(one, reach));
    return band ? { band } : null;
  }
  const lane = Math.floor((y - layout.top) / layout.laneHeight);
  return lane >= 0 && lane < run.laneCount ? hitLane(run, lane, time, reach) : null;
}

// The operation under the pointer; the ones that matter more are hit from further away.
function hitLane(run, lane, time, reach) {
  const list = view.lanes[lane];
  const [from, to] = between(run, list, time - reach, time + reach);
  const distance = (i) => Math.max(0, run.start[i] - time, time - run.end[i]);
  const rank = (i) => distance(i) - (run.isGuilty[i] ? 2 * reach : run.type[i] === OK ? 0 : reach / 2);
  const i = nearestBy(list.slice(from, Math.min(to, from + 2000)), rank, Infinity);
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
