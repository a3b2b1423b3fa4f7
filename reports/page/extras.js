// What stands in the rows below the operations.

const UNASKED_PX = 14;
const HAIR_PX = 3, WORDS_PX_MIN = 20;

// A family or a kind of fault, the end of the run, or a node with all that happened to it.
function drawExtras(run, box, layout) {
  for (const row of view.extras) {
    const y = layout.extrasTop + row.y;
    if (row.type === "node") drawNodeRow(run, box, row, y);
    else drawSpanRow(run, box, row, y);
  }
}

function drawSpanRow(run, box, row, y) {
  for (const [band, x0, x1] of barsOf(box, row.spans)) drawSpan(run, box, row, band, x0, y + 2, Math.max(3, x1 - x0));
  drawMarks(box, row.marks, y + EXTRA_LANE_PX / 2, (mark) => ["◇", kindColour(run, mark.fault)]);
}

// Where bars of a row begin and end. A bar adds nothing within pixels that one of its kind covers, and
// a hair nothing next to another hair; so a row costs what its width costs, however many it holds.
function barsOf(box, spans) {
  const covered = new Map(), bars = [];
  let hair = -Infinity;
  for (const band of spansWithin(spans, view.start, view.end)) {
    const x0 = Math.max(box.left - 4, xOf(box, band.start)), x1 = Math.min(box.right + 4, xOf(box, band.end));
    if (x1 <= (covered.get(band.fault) ?? -1) || (x1 - x0 < HAIR_PX && x0 < hair)) continue;
    covered.set(band.fault, Math.ceil(x1));
    if (x1 - x0 < HAIR_PX) hair = x0 + HAIR_PX;
    bars.push([band, x0, x1]);
  }
  return bars;
}

// Of marks that would stand on one another, the first is drawn.
function drawMarks(box, marks, y, lookOf) {
  let free = -Infinity;
  box.context.textAlign = "center";
  for (let at = lowerBoundBy(marks.length, (i) => marks[i].time < view.start); at < marks.length && marks[at].time <= view.end; at++) {
    const x = xOf(box, marks[at].time);
    if (x < free) continue;
    free = x + HAIR_PX;
    const [text, colour] = lookOf(marks[at]);
    box.context.fillStyle = colour;
    box.context.fillText(text, x, y);
  }
}

function drawNodeMarks(box, row, y) {
  drawMarks(box, row.marks, y, (event) => [event.mark, colours.ink]);
}

function drawSpan(run, box, row, band, x, y, width) {
  const { context } = box, height = EXTRA_LANE_PX - 4;
  context.fillStyle = kindColour(run, band.fault);
  const injecting = injectingPx(box, band, x, width);
  context.globalAlpha = 0.3;
  context.fillRect(x + injecting, y, width - injecting, height);
  context.globalAlpha = 1;
  context.fillRect(x, y, 2, height);
  if (injecting > 0) {
    context.fillStyle = hatch(context, kindColour(run, band.fault));
    context.globalAlpha = 0.7;
    context.fillRect(x, y, injecting, height);
    context.globalAlpha = 1;
  }
  if (band === view.hoveredBand || band === view.selectedBand) {
    context.strokeStyle = colours.link;
    context.strokeRect(x + 0.5, y + 0.5, Math.max(2, width - 1), height - 1);
  }
  if (width < WORDS_PX_MIN) return;
  const text = wordsOf(row, band), from = Math.max(box.left, x) + 6;
  if (context.measureText(text).width + 8 > x + width - from) return;
  context.textAlign = "left";
  context.fillStyle = colours.ink;
  context.fillText(text, from, y + height / 2);
}

// How much of a bar is the injection, during which a fault may strike before it is known to hold.
function injectingPx(box, band, x, width) {
  if (band.held === undefined) return 0;
  return Math.max(0, Math.min(width, xOf(box, band.held) - x));
}

// A row of one kind need not say which.
function wordsOf(row, band) {
  const targets = band.targets.join(" ");
  if (row.type === "end") return band.f;
  return row.type === "family" ? `${band.fault} ${targets}`.trim() : targets || band.f;
}

// Which faults struck a node, when it was down, and what happened to it.
function drawNodeRow(run, box, row, y) {
  const { context } = box;
  for (const [band, x0, x1] of barsOf(box, row.spans)) {
    context.fillStyle = kindColour(run, band.fault);
    context.fillRect(x0, y + 15, Math.max(2, x1 - x0), 3);
  }
  const downs = spansWithin(row.downs, view.start, view.end);
  for (const down of downs) drawDown(box, down, y + 2, 13);
  drawNodeMarks(box, row, y + 8);
  for (const down of downs) if (!down.asked) drawUnasked(box, down, y + 8);
}

// Grey where a fault asked for it; red and hatched where nobody did.
function drawDown(box, down, y, height, strength = 1) {
  const { context } = box, [x0, x1] = edges(box, down), width = Math.max(2, x1 - x0);
  context.fillStyle = down.asked ? colours.muted : colours.guilty;
  context.globalAlpha = strength * (down.asked ? 0.28 : 0.22);
  context.fillRect(x0, y, width, height);
  if (!down.asked) {
    context.globalAlpha = strength * 0.6;
    context.fillStyle = hatch(context, colours.guilty);
    context.fillRect(x0, y, width, height);
  }
  context.globalAlpha = 1;
}

// An end that nobody asked for: a white cross on red, which no other mark is.
function drawUnasked(box, down, y) {
  if (down.start < box.range.start || down.start > box.range.end) return;
  const { context } = box, x = xOf(box, down.start), size = UNASKED_PX / 2;
  context.fillStyle = colours.guilty;
  context.fillRect(x - size, y - size, UNASKED_PX, UNASKED_PX);
  context.strokeStyle = colours.panel;
  context.lineWidth = 2;
  context.beginPath();
  for (const slope of [-1, 1]) {
    context.moveTo(x - 3.5, y - 3.5 * slope);
    context.lineTo(x + 3.5, y + 3.5 * slope);
  }
  context.stroke();
  context.lineWidth = 1;
}

// Over the operations: a red line where a node ended unasked. Lanes by node show when it was down.
function drawDownLanes(box, layout) {
  const { context } = box;
  for (const row of view.extras) {
    if (row.type !== "node") continue;
    const downs = spansWithin(row.downs, view.start, view.end);
    if (view.laidBy === "node") drawDownOfGroup(box, layout, row.name, downs);
    context.fillStyle = colours.guilty;
    for (const down of downs) {
      if (down.asked || down.start < view.start) continue;
      const x = Math.round(xOf(box, down.start));
      for (let y = AXIS_PX - 4; y < layout.bottom; y += 7) context.fillRect(x, y, 1.5, 4);
    }
  }
}

function drawDownOfGroup(box, layout, node, downs) {
  const first = view.rows.findIndex((row) => row.name === node);
  if (first < 0 || !downs.length) return;
  let last = first;
  while (last + 1 < view.rows.length && !view.rows[last + 1].isFirst) last++;
  const y = layout.top + first * layout.laneHeight;
  for (const down of downs) drawDown(box, down, y, (last + 1 - first) * layout.laneHeight, 0.5);
}

// What stands at a place below the operations, `y` counted from the first row.
function hitExtras(y, time, reach) {
  const row = view.extras.find((one) => y >= one.y && y < one.y + EXTRA_LANE_PX);
  if (!row) return null;
  const distance = (one) => Math.abs(one.time - time);
  // The nearest, and of those that are in force then, the shortest.
  const [nearest] = spansWithin(row.spans, time - reach, time + reach).sort((a, b) => far(a, time) - far(b, time) || (a.end - a.start) - (b.end - b.start));
  if (row.type !== "node") {
    const band = nearestBy(row.marks, distance, reach) ?? nearest;
    return band ? { band } : row.type === "family" ? { family: row } : null;
  }
  const down = spansWithin(row.downs, time - reach, time + reach).sort((a, b) => a.asked - b.asked)[0];
  if (down && !down.asked) return { down };
  const event = nearestBy(row.marks, distance, reach);
  return event ? { event } : down ? { down } : nearest ? { band: nearest } : null;
}
