// A strip per node on the axis of the timeline: its role, when it was paused or down, its snapshots.

const NODE_STRIP_PX = 34, NODE_BAND_PX = 16, SNAPSHOT_GAP_PX = 12;
const ROLE_LOOKS = { leader: ["link", 0.75], candidate: ["info", 0.75], follower: ["muted", 0.22], none: ["muted", 1] };

function prepareStrips(run) {
  const of = (list) => groupBy(list, (one) => [one.node]);
  const reigns = of(run.strips.reigns), pauses = of(run.strips.pauses), snapshots = of(run.strips.snapshots);
  const downs = of(run.downs), events = of(run.node_events);
  run.nodeStrips = run.strips.nodes.map((node) => ({
    node, reigns: makeSpans(reigns.get(node) || []), pauses: makeSpans(pauses.get(node) || []), downs: makeSpans(downs.get(node) || []),
    snapshots: snapshots.get(node) || [], marks: byTime(events.get(node) || []),
    inside: run.simulation ? run.simulation.nodes.indexOf(node) : -1,
  }));
}

// A simulation tells more of each node, so its strips are higher.
function nodeStripPx(run) {
  return NODE_STRIP_PX + (run.simulation ? LOG_PX : 0);
}

function drawNodeStrips(run, canvas) {
  const height = nodeStripPx(run), topOf = (number) => AXIS_PX + number * height;
  const box = surface(canvas, topOf(run.nodeStrips.length) + 4);
  const scale = run.simulation && logScale(run.simulation);
  drawAxis(box, AXIS_PX / 2);
  drawGrid(box, AXIS_PX, box.height);
  drawBands(run, box, AXIS_PX, box.height);
  run.nodeStrips.forEach((strip, number) => {
    const top = topOf(number);
    box.context.fillStyle = colours.line;
    box.context.fillRect(0, top, box.width, 1);
    drawGutter(box, strip.node, top + NODE_BAND_PX / 2 + 4);
    if (strip.inside >= 0) drawLogNames(box, scale, top + NODE_STRIP_PX);
  });
  clipPlot(box, AXIS_PX, box.height);
  run.nodeStrips.forEach((strip, number) => {
    drawNodeStrip(box, strip, topOf(number) + 3);
    if (strip.inside >= 0) drawLogSteps(run.simulation, box, strip.inside, scale, topOf(number) + NODE_STRIP_PX);
  });
  box.context.restore();
}

function drawNodeStrip(box, strip, top) {
  const { context } = box;
  context.globalAlpha = 0.13;
  context.fillStyle = colours.muted;
  context.fillRect(box.left, top, box.right - box.left, NODE_BAND_PX - 2);
  context.globalAlpha = 1;
  for (const reign of spansWithin(strip.reigns, view.start, view.end)) drawReign(box, reign, top);
  for (const span of spansWithin(strip.pauses, view.start, view.end)) drawPause(box, span, top);
  const downs = spansWithin(strip.downs, view.start, view.end);
  for (const down of downs) drawDown(box, down, top, NODE_BAND_PX - 2);
  drawNodeMarks(box, strip, top + NODE_BAND_PX + 6);
  for (const down of downs) if (!down.asked) drawUnasked(box, down, top + NODE_BAND_PX / 2 - 1);
  drawSnapshots(box, strip, top + NODE_BAND_PX + 6);
}

function drawReign(box, reign, top) {
  if (reign.role === "unknown") return drawSilent(box, reign, top);
  const { context } = box, [x0, x1] = edges(box, reign), [colour, strength] = ROLE_LOOKS[reign.role];
  const width = Math.max(reign.role === "leader" ? 2 : 1, x1 - x0);
  if (reign.role === "none") {
    context.fillStyle = colours.panel;
    context.fillRect(x0, top, width, NODE_BAND_PX - 2);
  }
  context.fillStyle = reign.role === "none" ? hatch(context, colours[colour]) : colours[colour];
  context.globalAlpha = strength;
  context.fillRect(x0, top, width, NODE_BAND_PX - 2);
  context.globalAlpha = 1;
  const text = reignText(reign);
  if (!text || context.measureText(text).width + 10 > x1 - x0) return undefined;
  context.textAlign = "left";
  context.fillStyle = strength > 0.5 ? colours.panel : colours.ink;
  return context.fillText(text, x0 + 5, top + NODE_BAND_PX / 2 - 0.5);
}

// A follower needs no word: its stretch has the number of its term alone.
function reignText(reign) {
  const term = reign.term === null ? "" : `${reign.term}`;
  const word = { leader: "leads", candidate: "candidate" }[reign.role];
  return reign.role === "none" ? "" : [word, term].filter(Boolean).join(" ");
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
    box.context.fillText(snapshot.installed ? "▼" : "◈", x, y);
  }
}

// What stands at a place: the upper half has what lasts, the lower one the marks.
function hitNodeStrips(run, canvas, clientX, clientY) {
  const time = timeAt(canvas, clientX), y = clientY - canvas.getBoundingClientRect().top - AXIS_PX;
  const strip = run.nodeStrips[Math.floor(y / nodeStripPx(run))], below = y % nodeStripPx(run);
  if (!strip || y < 0 || time < view.start || time > view.end) return null;
  const reach = ((view.end - view.start) / Math.max(1, canvas.clientWidth - gutter())) * 5;
  if (below > NODE_STRIP_PX) return strip.inside < 0 ? null : hitLog(run.simulation, strip.inside, time, reach);
  const distance = (one) => Math.abs(one.time - time), isLow = below > NODE_BAND_PX + 2;
  const at = (spans) => spansWithin(spans, time - reach, time + reach).sort((a, b) => far(a, time) - far(b, time))[0];
  const snapshot = isLow && nearestBy(strip.snapshots, distance, reach);
  if (snapshot) return { facts: [`${strip.node}: snapshot ${snapshot.installed ? "installed" : "taken"}`, [["seen", formatTime(snapshot.time, 1000)], ["what", snapshot.text]]] };
  const event = isLow && nearestBy(strip.marks, distance, reach);
  if (event) return { event };
  const down = at(strip.downs);
  if (down) return { down };
  const pause = at(strip.pauses);
  if (pause) return spanFacts(strip, "paused", pause);
  const told = strip.inside < 0 ? null : stateFacts(run.simulation, strip.inside, time);
  if (told) return { facts: told };
  const reign = at(strip.reigns);
  if (reign) return spanFacts(strip, reign.role === "leader" ? "says that it leads" : "did not say in time whether it leads", reign);
  return { facts: [`${strip.node}: runs`, [["at", formatTime(time, 1000)], ["says that it leads", run.strips.asked ? "no" : "not known"]]] };
}

function spanFacts(strip, what, span) {
  return { facts: [`${strip.node}: ${what}`, [["from", formatTime(span.start, 1000)], ["to", formatTime(span.end, 1000)], ["lasted", formatDuration(span.end - span.start)]]] };
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
