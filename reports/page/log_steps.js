// Below the strip of a node that a simulation saw: how far its log has come, and what broke.

const LOG_PX = 56, LOG_MARK_PX = 11;

// The least and the greatest index of what is in sight; all strips share them.
function logScale(inside) {
  let low = Infinity, high = 0;
  for (const states of inside.states) {
    eachStretch(states, view, (i) => {
      low = Math.min(low, states.applied[i], states.commit[i], states.last[i]);
      high = Math.max(high, states.last[i], states.commit[i]);
    });
  }
  return low < high ? { low, high } : { low: Math.max(0, high - 1), high: high || 1 };
}

function drawLogNames(box, scale, top) {
  drawGutter(box, `to ${scale.high.toLocaleString("en")}`, top + 8);
  drawGutter(box, `from ${scale.low.toLocaleString("en")}`, top + LOG_PX - 10);
}

function drawLogSteps(inside, box, number, scale, top) {
  const { context } = box, states = inside.states[number];
  const bottom = top + LOG_PX - 5, room = LOG_PX - 14;
  const y = (index) => bottom - ((index - scale.low) / (scale.high - scale.low)) * room;
  drawSteps(box, states, states.commit, y, { fill: bottom, colour: colours.ok });
  drawSteps(box, states, states.last, y, { colour: colours.muted, width: 1 });
  drawSteps(box, states, states.stored, y, { colour: colours["kind-2"], width: 1.5, dash: [4, 3] });
  drawSteps(box, states, states.commit, y, { colour: colours.ok, width: 2 });
  drawSteps(box, states, states.applied, y, { colour: colours["kind-1"], width: 1.2, dash: [1.5, 2.5] });
  drawMoments(inside, box, inside.nodes[number], bottom - 6);
  for (const violation of inside.violations) {
    const isHere = violation.node === inside.nodes[number] || (number === 0 && !inside.nodes.includes(violation.node));
    if (isHere && violation.time >= view.start && violation.time <= view.end) drawViolation(box, xOf(box, violation.time), top + 12);
  }
  context.globalAlpha = 1;
}

// Notes and lost writes. Marks of one kind must not become a wall; a zoom shows those between.
function drawMoments(inside, box, node, y) {
  const last = {};
  for (const moment of momentsOf(inside, node)) {
    if (moment.time < view.start || moment.time > view.end) continue;
    const x = xOf(box, moment.time);
    if (x - last[moment.kind] < LOG_MARK_PX) continue;
    last[moment.kind] = x;
    drawMark(box, MOMENT_MARKS[moment.kind], x, y, moment.kind === "unsynced" ? colours.guilty : colours.ink);
  }
}

// Snapshots stand in the strip itself, as those of real nodes do.
function momentsOf(inside, node) {
  return inside.moments.filter((one) => one.node === node && ["unsynced", "note"].includes(one.kind));
}

// A step line; of many states within a pixel only the last is drawn.
function drawSteps(box, states, values, y, { colour, width = 1, dash = [], fill }) {
  const { context, range } = box;
  context.beginPath();
  let isOpen = false, last = -Infinity, end = box.left, begin = box.left;
  eachStretch(states, range, (i, from, to) => {
    const x0 = xOf(box, from), x1 = xOf(box, to);
    if (isOpen && x1 - last < 0.7 && to < range.end) return;
    if (!isOpen) { context.moveTo(x0, y(values[i])); begin = x0; }
    else context.lineTo(x0, y(values[i]));
    context.lineTo(x1, y(values[i]));
    isOpen = true;
    last = end = x1;
  });
  if (!isOpen) return;
  if (fill !== undefined) {
    context.lineTo(end, fill);
    context.lineTo(begin, fill);
    context.fillStyle = colour;
    context.globalAlpha = 0.13;
    context.fill();
    context.globalAlpha = 1;
    return;
  }
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.setLineDash(dash);
  context.stroke();
  context.setLineDash([]);
  context.lineWidth = 1;
}

// What stands at a time of the log of a node: what broke, a mark, or what it held.
function hitLog(inside, number, time, reach) {
  const node = inside.nodes[number];
  const violations = inside.violations.filter((one) => one.node === node);
  const mark = nearestBy([...violations, ...momentsOf(inside, node)], (one) => Math.abs(one.time - time), reach);
  const facts = mark ? momentFacts(mark) : stateFacts(inside, number, time);
  return facts ? { facts } : null;
}
