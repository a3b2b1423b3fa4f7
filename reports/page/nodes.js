// A strip per node on the axis of the timeline: when it led, was paused or down, took snapshots.

const NODE_STRIP_PX = 34, NODE_BAND_PX = 16, SNAPSHOT_GAP_PX = 12;

function prepareStrips(run) {
  const of = (name) => groupBy(run.strips[name], (one) => [one.node]);
  const [leads, unknown, pauses, snapshots] = ["leads", "unknown", "pauses", "snapshots"].map(of);
  const downs = groupBy(run.downs, (down) => [down.node]), events = groupBy(run.node_events, (event) => [event.node]);
  run.nodeStrips = run.nodes.map((node) => ({
    node, leads: makeSpans(leads.get(node) || []), unknown: makeSpans(unknown.get(node) || []),
    pauses: makeSpans(pauses.get(node) || []), downs: makeSpans(downs.get(node) || []),
    snapshots: snapshots.get(node) || [], marks: (events.get(node) || []).sort((a, b) => a.time - b.time),
  }));
}

function nodeStripTop(number) {
  return AXIS_PX + number * NODE_STRIP_PX;
}

function drawNodeStrips(run, canvas) {
  const box = surface(canvas, nodeStripTop(run.nodeStrips.length) + 4);
  drawAxis(box, AXIS_PX / 2);
  drawGrid(box, AXIS_PX, box.height);
  drawBands(run, box, AXIS_PX, box.height);
  run.nodeStrips.forEach((strip, number) => {
    const top = nodeStripTop(number);
    box.context.fillStyle = colours.line;
    box.context.fillRect(0, top, box.width, 1);
    drawGutter(box, strip.node, top + NODE_BAND_PX / 2 + 4);
  });
  clipPlot(box, AXIS_PX, box.height);
  run.nodeStrips.forEach((strip, number) => drawNodeStrip(box, strip, nodeStripTop(number) + 3));
  box.context.restore();
}

function drawNodeStrip(box, strip, top) {
  const { context } = box;
  context.globalAlpha = 0.13;
  context.fillStyle = colours.muted;
  context.fillRect(box.left, top, box.right - box.left, NODE_BAND_PX - 2);
  context.globalAlpha = 1;
  for (const span of spansWithin(strip.unknown, view.start, view.end)) drawSilent(box, span, top);
  for (const span of spansWithin(strip.leads, view.start, view.end)) drawLeads(box, span, top);
  for (const span of spansWithin(strip.pauses, view.start, view.end)) drawPause(box, span, top);
  const downs = spansWithin(strip.downs, view.start, view.end);
  for (const down of downs) drawDown(box, down, top, NODE_BAND_PX - 2);
  drawNodeMarks(box, strip, top + NODE_BAND_PX + 6);
  for (const down of downs) if (!down.asked) drawUnasked(box, down, top + NODE_BAND_PX / 2 - 1);
  drawSnapshots(box, strip, top + NODE_BAND_PX + 6);
}

function drawLeads(box, span, top) {
  const { context } = box, [x0, x1] = edges(box, span);
  context.fillStyle = colours.link;
  context.globalAlpha = 0.75;
  context.fillRect(x0, top, Math.max(2, x1 - x0), NODE_BAND_PX - 2);
  context.globalAlpha = 1;
  if (context.measureText("leads").width + 10 > x1 - x0) return;
  context.textAlign = "left";
  context.fillStyle = colours.panel;
  context.fillText("leads", x0 + 5, top + NODE_BAND_PX / 2 - 0.5);
}

// Nobody knows whether it led: an empty frame, which is no role.
function drawSilent(box, span, top) {
  const { context } = box, [x0, x1] = edges(box, span);
  context.fillStyle = colours.panel;
  context.fillRect(x0, top, Math.max(2, x1 - x0), NODE_BAND_PX - 2);
  context.strokeStyle = colours.muted;
  context.setLineDash([3, 3]);
  context.strokeRect(x0 + 0.5, top + 0.5, Math.max(1, x1 - x0 - 1), NODE_BAND_PX - 3);
  context.setLineDash([]);
}

function drawPause(box, span, top) {
  const { context } = box, [x0, x1] = edges(box, span), width = Math.max(2, x1 - x0);
  context.fillStyle = colours.panel;
  context.fillRect(x0, top, width, NODE_BAND_PX - 2);
  context.fillStyle = hatch(context, colours.info);
  context.fillRect(x0, top, width, NODE_BAND_PX - 2);
  if (context.measureText("paused").width + 14 > x1 - x0) return;
  context.textAlign = "left";
  halo(context, "paused", x0 + 6, top + NODE_BAND_PX / 2 - 0.5);
  context.fillStyle = colours.ink;
  context.fillText("paused", x0 + 6, top + NODE_BAND_PX / 2 - 0.5);
}

// Marks must not become a wall; a zoom shows those between.
function drawSnapshots(box, strip, y) {
  let free = -Infinity;
  box.context.textAlign = "center";
  for (const snapshot of strip.snapshots) {
    if (snapshot.time < view.start || snapshot.time > view.end) continue;
    const x = xOf(box, snapshot.time);
    if (x < free) continue;
    free = x + SNAPSHOT_GAP_PX;
    box.context.fillStyle = colours["kind-2"];
    box.context.fillText("◈", x, y);
  }
}

// What stands at a place: the lower half has the marks.
function hitNodeStrips(run, canvas, clientX, clientY) {
  const time = timeAt(canvas, clientX), y = clientY - canvas.getBoundingClientRect().top - AXIS_PX;
  const strip = run.nodeStrips[Math.floor(y / NODE_STRIP_PX)];
  if (!strip || y < 0 || time < view.start || time > view.end) return null;
  const reach = ((view.end - view.start) / Math.max(1, canvas.clientWidth - gutter())) * 5;
  const distance = (one) => Math.abs(one.time - time), isLow = y % NODE_STRIP_PX > NODE_BAND_PX + 2;
  const at = (spans) => spansWithin(spans, time - reach, time + reach)[0];
  const snapshot = isLow && nearestBy(strip.snapshots, distance, reach);
  if (snapshot) return { facts: [`${strip.node}: snapshot`, [["seen", formatTime(snapshot.time, 1000)], ["name", snapshot.text]]] };
  const event = isLow && nearestBy(strip.marks, distance, reach);
  if (event) return { event };
  const down = at(strip.downs);
  if (down) return { down };
  for (const [spans, what] of [[strip.pauses, "paused"], [strip.leads, "says that it leads"], [strip.unknown, "did not say in time whether it leads"]]) {
    const span = at(spans);
    if (span) return { facts: [`${strip.node}: ${what}`, [["from", formatTime(span.start, 1000)], ["to", formatTime(span.end, 1000)], ["lasted", formatDuration(span.end - span.start)]]] };
  }
  return { facts: [`${strip.node}: runs`, [["at", formatTime(time, 1000)], ["says that it leads", run.strips.asked ? "no" : "not known"]]] };
}

function buildNodes(run) {
  const canvas = document.getElementById("node-strips");
  if (!canvas) return;
  prepareStrips(run);
  drawings.push(() => drawNodeStrips(run, canvas));
  const hit = (...place) => {
    const found = hitNodeStrips(...place);
    return found && { ...found, logsAt: timeAt(canvas, place[2]) };
  };
  listenPointers(run, canvas, hit, (found) => { if (found) showLogsAt(found.logsAt); });
}
