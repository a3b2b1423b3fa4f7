// A strip per server on the axis of the timeline: role and term, and how far its log has come.

const STRIP_PX = 76, REIGN_PX = 16, MARK_PX = 11;

function stripTop(number) {
  return AXIS_PX + number * STRIP_PX;
}

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

function drawServers(run, canvas) {
  const inside = run.simulation;
  const box = surface(canvas, stripTop(inside.nodes.length) + 4);
  const scale = logScale(inside);
  drawAxis(box, AXIS_PX / 2);
  drawGrid(box, AXIS_PX, box.height);
  drawBands(run, box, AXIS_PX, box.height);
  inside.nodes.forEach((node, number) => drawStripNames(box, inside, number, scale));
  clipPlot(box, AXIS_PX, box.height);
  inside.nodes.forEach((node, number) => drawStrip(inside, box, number, scale));
  box.context.restore();
}

function drawStripNames(box, inside, number, scale) {
  const { context } = box, top = stripTop(number);
  context.fillStyle = colours.line;
  context.fillRect(0, top, box.width, 1);
  context.fillRect(box.left, top, 1, STRIP_PX);
  drawGutter(box, inside.nodes[number], top + REIGN_PX / 2 + 3);
  drawGutter(box, `to ${scale.high.toLocaleString("en")}`, top + REIGN_PX + 14);
  drawGutter(box, `from ${scale.low.toLocaleString("en")}`, top + STRIP_PX - 10);
}

function drawStrip(inside, box, number, scale) {
  const { context } = box, states = inside.states[number], top = stripTop(number);
  eachReign(states, box.range, (i, from, to) => drawReign(box, states, i, from, to, top + 3));
  const bottom = top + STRIP_PX - 5, room = STRIP_PX - REIGN_PX - 14;
  const y = (index) => bottom - ((index - scale.low) / (scale.high - scale.low)) * room;
  drawSteps(box, states, states.commit, y, { fill: bottom, colour: colours.ok });
  drawSteps(box, states, states.last, y, { colour: colours.muted, width: 1 });
  drawSteps(box, states, states.stored, y, { colour: colours["kind-2"], width: 1.5, dash: [4, 3] });
  drawSteps(box, states, states.commit, y, { colour: colours.ok, width: 2 });
  drawSteps(box, states, states.applied, y, { colour: colours["kind-1"], width: 1.2, dash: [1.5, 2.5] });
  for (const span of inside.down) if (span.node === inside.nodes[number]) drawHalt(box, span, top + 3, STRIP_PX - 6);
  const last = {};
  for (const moment of inside.moments) {
    if (moment.node !== inside.nodes[number] || moment.kind === "synced") continue;
    if (moment.time < view.start || moment.time > view.end) continue;
    // Marks of one kind must not become a wall; a zoom shows those between.
    if (xOf(box, moment.time) - last[moment.kind] < MARK_PX) continue;
    last[moment.kind] = xOf(box, moment.time);
    drawMark(box, MOMENT_MARKS[moment.kind], xOf(box, moment.time), bottom - 6, moment.kind === "unsynced" ? colours.guilty : colours.ink);
  }
  for (const violation of inside.violations) {
    const isHere = violation.node === inside.nodes[number] || (number === 0 && !inside.nodes.includes(violation.node));
    if (isHere && violation.time >= view.start && violation.time <= view.end) drawViolation(box, xOf(box, violation.time), top + REIGN_PX + 14);
  }
  context.globalAlpha = 1;
}

function drawReign(box, states, i, from, to, top) {
  const { context } = box, role = states.role[i], x0 = xOf(box, from), x1 = xOf(box, to);
  context.fillStyle = roleColour(role);
  context.globalAlpha = [0.75, 0.75, 0.22, 0.3][role];
  context.fillRect(x0, top, Math.max(1, x1 - x0), REIGN_PX - 2);
  context.globalAlpha = 1;
  const text = ROLES[role] === "none" ? "" : role === 2 ? `${states.term[i]}` : roleText(states, i);
  if (x1 - x0 < context.measureText(text).width + 8) return;
  context.textAlign = "left";
  context.fillStyle = role < 2 ? colours.panel : colours.ink;
  context.fillText(text, x0 + 4, top + REIGN_PX / 2 - 0.5);
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

function hitServers(run, canvas, clientX, clientY) {
  const inside = run.simulation, time = timeAt(canvas, clientX);
  const number = Math.floor((clientY - canvas.getBoundingClientRect().top - AXIS_PX) / STRIP_PX);
  if (time < view.start || time > view.end || number < 0 || number >= inside.nodes.length) return null;
  const reach = ((view.end - view.start) / Math.max(1, canvas.clientWidth - gutter())) * 5;
  const marks = [...inside.violations, ...inside.moments.filter((one) => one.kind !== "synced")];
  const mark = nearestBy(marks.filter((one) => one.node === inside.nodes[number]), (one) => Math.abs(one.time - time), reach);
  const facts = mark ? momentFacts(mark) : stateFacts(inside, number, time);
  return facts ? { facts } : null;
}
