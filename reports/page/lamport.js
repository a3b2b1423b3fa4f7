// A window of messages around an anomaly: clients above, a line per server below, arrows between.

const CLIENT_PX = 24, SERVER_PX = 62, CLIENTS_MAX = 12;
const FAINT_REPEATS_MAX = 60, SYNCED_MAX = 120, ARROWS_MAX = 1500, KINDS_SHOWN_MAX = 24;
const STRETCH_POWER = 0.4, STRETCHED_MAX = 300;
const ROLE_PX = [6, 4, 1.5, 1];
const KIND_ROW = { type: "kind" }; // A row of one kind of fault, as the timeline has them.

function buildLamport(run, figure) {
  const placesOf = (text) => new Set(text.split(" ").filter(Boolean).map((index) => operationOf(run, Number(index))).filter((i) => i >= 0));
  const named = placesOf(figure.dataset.operations), guilty = placesOf(figure.dataset.guilty);
  const processes = [...new Set([...named].map((i) => run.process[i]))].slice(0, CLIENTS_MAX);
  const operations = [];
  for (let i = 0; i < run.count; i++) if (processes.includes(run.process[i])) operations.push(i);
  const home = [Number(figure.dataset.start), Number(figure.dataset.end)];
  const range = { start: home[0], end: home[1], whole: view.whole, home };
  const kinds = run.kinds.filter((kind) => run.bands.some((band) => band.fault === kind && band.start <= home[1] && band.end >= home[0]));
  return { figure, canvas: figure.querySelector("canvas"), named, guilty, processes, operations, range, kinds, focused: -1, repeats: false, isToScale: false, drawn: null };
}

function lamportLayout(run, lamport) {
  const faultsTop = AXIS_PX;
  const clientsTop = faultsTop + lamport.kinds.length * EXTRA_LANE_PX;
  const serversTop = clientsTop + lamport.processes.length * CLIENT_PX + GAP_PX;
  const height = serversTop + run.simulation.nodes.length * SERVER_PX + 6;
  return {
    faultsTop, clientsTop, serversTop, height,
    clientY: (process) => clientsTop + (lamport.processes.indexOf(process) + 0.5) * CLIENT_PX,
    serverY: (node) => serversTop + (node + 0.5) * SERVER_PX,
  };
}

// Messages that touch the range, by sending; those that are folded are counted.
function messagesIn(inside, range, withRepeats) {
  const found = [], repeats = [];
  let at = firstFrom(inside.start, range.start - inside.longest);
  for (; at < inside.count && inside.start[at] <= range.end; at++) {
    const end = inside.fate[at] === IN_FLIGHT ? Infinity : inside.end[at];
    if (end < range.start) continue;
    (inside.flags[at] & REPEAT ? repeats : found).push(at);
  }
  const areShown = withRepeats || repeats.length <= FAINT_REPEATS_MAX;
  return { telling: found, repeats, faint: areShown ? repeats : [], folded: areShown ? 0 : repeats.length };
}

// Time is stretched where much happens: between two events a length has the power of it as its
// share. So arrows of milliseconds can be told apart beside pauses of seconds.
function stretchOf(run, lamport, telling) {
  const { start, end } = lamport.range, inside = run.simulation;
  if (lamport.isToScale || telling.length > STRETCHED_MAX) return null;
  const moments = new Set([start, end]);
  const add = (time) => { if (time > start && time < end) moments.add(time); };
  for (const i of telling) [inside.start[i], inside.end[i]].forEach(add);
  for (const i of lamport.named) [run.start[i], run.end[i]].forEach(add);
  const times = [...moments].sort((a, b) => a - b), shares = [0];
  for (let i = 1; i < times.length; i++) shares.push(shares[i - 1] + (times[i] - times[i - 1]) ** STRETCH_POWER);
  const whole = shares.at(-1);
  return { times, shares: shares.map((share) => share / whole) };
}

// From where to where a message is drawn. A lost one ends on its way. One that leaves the window, or
// comes into it, has its other end at the edge: on its own scale it would lie flat on a server's line.
function arrowOf(inside, box, layout, i) {
  const from = layout.serverY(inside.from[i]), way = layout.serverY(inside.to[i]) - from;
  const isOpen = inside.fate[i] === IN_FLIGHT || inside.end[i] > box.range.end;
  const isEarly = inside.start[i] < box.range.start;
  const x0 = isEarly ? box.left - 6 : xOf(box, inside.start[i]);
  const x1 = isOpen ? box.right + 6 : xOf(box, inside.end[i]);
  const share = isOpen ? 0.3 : inside.fate[i] === LOST ? 0.55 : 1;
  return { x0, y0: from + (isEarly ? way * 0.3 : 0), x1: Math.max(x1, inside.fate[i] === LOST ? x0 + 4 : x1), y1: from + way * share, isOpen };
}

function drawLamport(run, lamport) {
  const { canvas, range } = lamport;
  const width = canvas.parentElement.clientWidth;
  if (!width) return;
  const state = [range.start, range.end, width, devicePixelRatio, lamport.focused, lamport.repeats, lamport.isToScale].join(" ");
  if (lamport.drawn?.state === state && lamport.drawn.colours === colours) return;
  lamport.drawn = { state, colours };
  const inside = run.simulation, layout = lamportLayout(run, lamport);
  const shown = messagesIn(inside, range, lamport.repeats);
  range.stretch = stretchOf(run, lamport, shown.telling);
  const box = surface(canvas, layout.height, range);
  drawAxis(box, AXIS_PX / 2);
  drawGrid(box, AXIS_PX, layout.height);
  drawBands(run, box, AXIS_PX, layout.height);
  drawLamportNames(run, lamport, box, layout);
  clipPlot(box, AXIS_PX, layout.height);
  drawLamportFaults(run, lamport, box, layout);
  inside.nodes.forEach((node, number) => drawLifeline(inside, box, layout, number));
  drawAsked(run, lamport, box, layout);
  for (const i of thinned(shown.faint)) drawArrow(inside, box, layout, i, true);
  for (const i of thinned(shown.telling)) drawArrow(inside, box, layout, i, false);
  drawLamportMoments(inside, box, layout);
  const placed = occupied(run, box, layout, shown.telling);
  inside.nodes.forEach((_, node) => drawRoleWords(inside, box, layout, node, placed));
  drawClientBars(run, lamport, box, layout);
  if (lamport.focused >= 0) drawFocused(inside, box, layout, lamport.focused);
  const wordless = drawMessageLabels(inside, box, layout, { telling: shown.telling, focused: lamport.focused }, placed);
  box.context.restore();
  sayLamport(inside, lamport, shown, wordless);
}

// Of more arrows than a drawing can show, as many as it can, evenly.
function thinned(list) {
  const stride = Math.ceil(list.length / ARROWS_MAX);
  return stride > 1 ? list.filter((_, at) => at % stride === 0) : list;
}

function drawLamportNames(run, lamport, box, layout) {
  lamport.kinds.forEach((kind, row) => drawGutter(box, kind, layout.faultsTop + (row + 0.5) * EXTRA_LANE_PX));
  for (const process of lamport.processes) drawGutter(box, `${box.left < 90 ? "p" : "process"} ${process}`, layout.clientY(process));
  run.simulation.nodes.forEach((node, number) => {
    const y = layout.serverY(number), states = run.simulation.states[number];
    drawGutter(box, node, y - 8);
    const i = stateAt(states, box.range.start);
    if (i >= 0) drawGutter(box, roleText(states, i), y + 8);
  });
  box.context.fillStyle = colours.line;
  box.context.fillRect(box.left, AXIS_PX, 1, layout.height);
  if (layout.serversTop > AXIS_PX + GAP_PX) box.context.fillRect(0, layout.serversTop - GAP_PX / 2, box.width, 1);
}

// A row per kind of fault, and a stroke at each server that it struck.
function drawLamportFaults(run, lamport, box, layout) {
  for (const band of run.bands) {
    if (band.end < box.range.start || band.start > box.range.end) continue;
    const x0 = Math.max(box.left - 4, xOf(box, Math.max(band.start, box.range.start))), x1 = xOf(box, Math.min(band.end, box.range.end));
    const row = lamport.kinds.indexOf(band.fault);
    if (row >= 0) drawSpan(run, box, KIND_ROW, band, x0, layout.faultsTop + row * EXTRA_LANE_PX + 2, Math.max(3, x1 - x0));
    box.context.fillStyle = kindColour(run, band.fault);
    for (const { x, y, right, bottom } of faultStrokes(run.simulation, box, layout, band)) box.context.fillRect(x, y, right - x, bottom - y);
  }
}

// The stroke of a fault at each server that it struck, where it is in sight.
function faultStrokes(inside, box, layout, band) {
  if (band.end < box.range.start || band.start > box.range.end) return [];
  const x = Math.max(box.left - 4, xOf(box, Math.max(band.start, box.range.start)));
  const right = Math.max(x + 2, xOf(box, Math.min(band.end, box.range.end)));
  const struck = inside.nodes.map((node, place) => (band.targets.includes(node) ? layout.serverY(place) + 24 : null));
  return struck.filter((y) => y !== null).map((y) => ({ x, right, y, bottom: y + 3 }));
}

function drawLifeline(inside, box, layout, number) {
  const { context } = box, states = inside.states[number], y = layout.serverY(number);
  context.fillStyle = colours.grid;
  context.fillRect(box.left, y - 0.5, box.right - box.left, 1);
  eachReign(states, box.range, (i, from, to) => {
    const role = states.role[i], x0 = xOf(box, from), x1 = xOf(box, to);
    context.fillStyle = roleColour(role);
    context.fillRect(x0, y - ROLE_PX[role] / 2, Math.max(1, x1 - x0), ROLE_PX[role]);
  });
  for (const span of inside.down) {
    if (span.node !== inside.nodes[number] || span.end < box.range.start || span.start > box.range.end) continue;
    drawHalt(box, span, y - 8, 16);
  }
}

// Dotted ways from an operation to the server that it asked, and back.
function drawAsked(run, lamport, box, layout) {
  const { context } = box;
  context.setLineDash([2, 3]);
  for (const i of lamport.named) {
    const node = run.simulation.nodes.indexOf(run.tables.node[run.node[i]]);
    if (node < 0 || !lamport.processes.includes(run.process[i])) continue;
    const top = layout.clientY(run.process[i]) + 8, bottom = layout.serverY(node);
    context.strokeStyle = lamport.guilty.has(i) ? colours.guilty : colours.muted;
    for (const time of [run.start[i], ...(run.done[i] ? [run.end[i]] : [])]) {
      if (time < box.range.start || time > box.range.end) continue;
      const x = Math.round(xOf(box, time)) + 0.5;
      context.beginPath();
      context.moveTo(x, top);
      context.lineTo(x, bottom);
      context.stroke();
    }
  }
  context.setLineDash([]);
}

function drawClientBars(run, lamport, box, layout) {
  const { context, range } = box;
  const ends = new Map();
  for (const i of lamport.operations) {
    if (run.end[i] < range.start || run.start[i] > range.end) continue;
    const x0 = Math.max(box.left - 3, xOf(box, run.start[i])), x1 = Math.min(box.right + 3, xOf(box, run.end[i]));
    const y = layout.clientY(run.process[i]) - 8, width = Math.max(2, x1 - x0);
    context.globalAlpha = lamport.named.has(i) ? 1 : 0.4;
    drawBar(box, run.type[i], x0, y, width, 16);
    context.globalAlpha = 1;
    if (lamport.guilty.has(i)) outline(context, colours.guilty, x0, y, width, 16, 2);
    const text = labelOf(run, i), needed = context.measureText(text).width + 10;
    const fitsRight = x1 + needed <= box.right + 10;
    const left = needed <= width ? x0 + 5 : fitsRight ? x1 + 5 : x0 - needed + 5;
    if (!lamport.named.has(i) && needed > width) continue;
    if (left < (ends.get(run.process[i]) || box.left)) continue;
    ends.set(run.process[i], left + needed);
    context.textAlign = "left";
    halo(context, text, left, y + 8.5);
    context.fillStyle = lamport.guilty.has(i) ? colours.guilty : colours.ink;
    context.fillText(text, left, y + 8.5);
  }
}

function drawArrow(inside, box, layout, i, isFaint) {
  const { context } = box, { x0, y0, x1, y1, isOpen } = arrowOf(inside, box, layout, i);
  const isLost = inside.fate[i] === LOST && !isOpen, isCopy = inside.flags[i] & COPY;
  const colour = isFaint ? colours.muted : isLost ? colours.guilty : colours[`kind-${inside.kindOf[inside.what[i]] % 6}`];
  context.strokeStyle = context.fillStyle = colour;
  context.lineWidth = isFaint ? 1 : 1.6;
  context.globalAlpha = isFaint ? 0.35 : 1;
  context.setLineDash(isOpen ? [5, 4] : isCopy ? [8, 2, 2, 2] : []);
  context.beginPath();
  context.moveTo(x0, y0);
  context.lineTo(x1, y1);
  context.stroke();
  context.setLineDash([]);
  if (isLost) {
    context.beginPath();
    for (const [dx, dy] of [[4, 4], [4, -4]]) { context.moveTo(x1 - dx, y1 - dy); context.lineTo(x1 + dx, y1 + dy); }
    context.lineWidth = 2;
    context.stroke();
  } else if (!isOpen) drawHead(context, x0, y0, x1, y1, isFaint ? 4 : 7);
  context.lineWidth = 1;
  context.globalAlpha = 1;
}

function drawHead(context, x0, y0, x1, y1, size) {
  const angle = Math.atan2(y1 - y0, x1 - x0);
  context.beginPath();
  context.moveTo(x1, y1);
  for (const turn of [0.42, -0.42]) context.lineTo(x1 - size * Math.cos(angle + turn), y1 - size * Math.sin(angle + turn));
  context.closePath();
  context.fill();
}

function drawFocused(inside, box, layout, i) {
  const { context } = box, { x0, y0, x1, y1 } = arrowOf(inside, box, layout, i);
  context.strokeStyle = colours.ink;
  context.lineWidth = 3.5;
  context.beginPath();
  context.moveTo(x0, y0);
  context.lineTo(x1, y1);
  context.stroke();
  context.lineWidth = 1;
}

function drawLamportMoments(inside, box, layout) {
  const visible = inside.moments.filter((one) => one.time >= box.range.start && one.time <= box.range.end);
  const synced = visible.filter((one) => one.kind === "synced");
  for (const moment of visible) {
    if (moment.kind === "synced" && synced.length > SYNCED_MAX) continue;
    const y = moment.node ? layout.serverY(inside.nodes.indexOf(moment.node)) : layout.serversTop;
    const colour = moment.kind === "unsynced" ? colours.guilty : moment.kind === "synced" ? colours.muted : colours.ink;
    drawMark(box, MOMENT_MARKS[moment.kind], xOf(box, moment.time), moment.kind === "synced" ? y : y - 1, colour);
  }
  for (const violation of inside.violations) {
    if (violation.time < box.range.start || violation.time > box.range.end) continue;
    drawViolation(box, xOf(box, violation.time), violationY(inside, layout, violation));
  }
}

function violationY(inside, layout, violation) {
  const node = inside.nodes.indexOf(violation.node);
  return node < 0 ? layout.serversTop + 4 : layout.serverY(node) - 14;
}

function drawViolation(box, x, y) {
  const { context } = box;
  context.fillStyle = colours.guilty;
  context.beginPath();
  context.arc(x, y, 8, 0, 2 * Math.PI);
  context.fill();
  context.fillStyle = colours.panel;
  context.textAlign = "center";
  context.fillText("!", x, y + 0.5);
}

function sayLamport(inside, lamport, shown, wordless) {
  const { figure, range } = lamport, span = range.end - range.start;
  const lost = shown.telling.filter((i) => inside.fate[i] === LOST).length;
  const parts = [formatCount(shown.telling.length, "message")];
  if (lost) parts.push(`${lost.toLocaleString("en")} lost`);
  if (shown.folded) parts.push(`${formatCount(shown.folded, "repeat")} folded`);
  else if (shown.repeats.length) parts.push(`${formatCount(shown.repeats.length, "repeat")} faint`);
  if (shown.telling.length > ARROWS_MAX) parts.push(`${thinned(shown.telling).length.toLocaleString("en")} of them are drawn`);
  if (wordless) parts.push(`${wordless.toLocaleString("en")} without words: zoom, or point at one`);
  figure.querySelector(".range").textContent = `${formatTime(range.start, span)} to ${formatTime(range.end, span)} (${formatDuration(span)})`;
  figure.querySelector(".drawn-count").textContent = parts.join(", ");
}

// What stands at a point: a broken invariant, a mark, an operation, a message, or a server's state.
function hitLamport(run, lamport) {
  return (_, canvas, clientX, clientY) => {
    const inside = run.simulation, layout = lamportLayout(run, lamport);
    const box = plotOf(canvas, lamport.range), x = clientX - box.x, y = clientY - box.y;
    const time = timeAt(canvas, clientX, lamport.range);
    if (x < box.left - 4) return null;
    if (y < layout.clientsTop) {
      const kind = lamport.kinds[Math.floor((y - layout.faultsTop) / EXTRA_LANE_PX)];
      const band = run.bands.find((one) => one.fault === kind && time >= one.start && time <= one.end);
      return band ? { band } : null;
    }
    if (y < layout.serversTop - GAP_PX / 2) {
      const process = lamport.processes[Math.floor((y - layout.clientsTop) / CLIENT_PX)];
      const near = (i) => Math.max(0, xOf(box, run.start[i]) - x, x - xOf(box, run.end[i]));
      const operation = nearestBy(lamport.operations.filter((i) => run.process[i] === process), near, 6);
      return operation === undefined ? null : { operation };
    }
    const node = Math.min(inside.nodes.length - 1, Math.max(0, Math.floor((y - layout.serversTop) / SERVER_PX)));
    const isOnLine = Math.abs(y - layout.serverY(node)) <= 9;
    const marks = [...inside.violations, ...inside.moments].filter((one) => !one.node || one.node === inside.nodes[node]);
    const mark = nearestBy(marks, (one) => Math.abs(xOf(box, one.time) - x), 7);
    if (mark && Math.abs(y - layout.serverY(node)) <= 22) return { facts: momentFacts(mark) };
    const shown = messagesIn(inside, lamport.range, lamport.repeats);
    const message = nearestBy([...thinned(shown.telling), ...thinned(shown.faint)], (i) => distanceTo(arrowOf(inside, box, layout, i), x, y), 6);
    if (message !== undefined) return { message, facts: messageFacts(inside, message) };
    const facts = isOnLine ? stateFacts(inside, node, time) : null;
    return facts ? { facts } : null;
  };
}

function distanceTo({ x0, y0, x1, y1 }, x, y) {
  const dx = x1 - x0, dy = y1 - y0, length = dx * dx + dy * dy || 1;
  const share = Math.min(1, Math.max(0, ((x - x0) * dx + (y - y0) * dy) / length));
  return Math.hypot(x0 + share * dx - x, y0 + share * dy - y);
}

function focusMessage(run, lamport, i) {
  const { range, figure } = lamport, inside = run.simulation;
  lamport.focused = i;
  if (i >= 0 && (inside.start[i] < range.start || inside.start[i] > range.end)) {
    const span = range.end - range.start;
    showRange(inside.start[i] - span / 2, inside.start[i] + span / 2, range);
  }
  const [title, facts] = i >= 0 ? messageFacts(inside, i) : ["", []];
  figure.querySelector(".said").replaceChildren(...(i >= 0 ? [element("b", {}, title), ` ${facts.map(([name, value]) => `${name} ${value}`).join("; ")}`] : []));
  redraw();
}

// The next message that is no repeat, by sending, starting with the first in sight.
function stepMessage(run, lamport, direction) {
  const inside = run.simulation;
  let at = lamport.focused >= 0 ? lamport.focused + direction : firstFrom(inside.start, lamport.range.start);
  while (at >= 0 && at < inside.count && inside.flags[at] & REPEAT && !lamport.repeats) at += direction;
  if (at >= 0 && at < inside.count) focusMessage(run, lamport, at);
}

function listenLamport(run, lamport, select) {
  const { figure, range, canvas } = lamport, chart = canvas.parentElement;
  const middle = () => (range.start + range.end) / 2;
  const actions = {
    in: () => zoom(KEY_ZOOM, middle(), range), out: () => zoom(1 / KEY_ZOOM, middle(), range),
    left: () => pan(-KEY_PAN, range), right: () => pan(KEY_PAN, range), home: () => showHome(range),
    next: () => stepMessage(run, lamport, 1), previous: () => stepMessage(run, lamport, -1),
    clear: () => { hideTooltip(); focusMessage(run, lamport, -1); },
  };
  const keys = { "+": "in", "=": "in", "-": "out", _: "out", ArrowLeft: "left", ArrowRight: "right", 0: "home", Home: "home", n: "next", p: "previous", Escape: "clear" };
  chart.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const action = actions[keys[event.key.length === 1 ? event.key.toLowerCase() : event.key]];
    if (!action) return;
    event.preventDefault();
    action();
  });
  chart.addEventListener("blur", hideTooltip);
  for (const button of figure.querySelectorAll("[data-lamport]")) button.addEventListener("click", actions[button.dataset.lamport]);
  figure.querySelector(".repeats").addEventListener("change", (event) => { lamport.repeats = event.target.checked; redraw(); });
  figure.querySelector(".to-scale").addEventListener("change", (event) => { lamport.isToScale = event.target.checked; redraw(); });
  figure.closest("details")?.addEventListener("toggle", redraw);
  const chosen = (hit) => (hit?.operation !== undefined || hit?.band ? select(hit) : focusMessage(run, lamport, hit?.message ?? -1));
  listenPointers(run, canvas, hitLamport(run, lamport), chosen, range);
  for (const button of figure.closest(".anomaly").querySelectorAll("[data-show]")) {
    button.addEventListener("click", () => {
      const some = button.dataset.show.split(" ").map((index) => operationOf(run, Number(index))).filter((i) => i >= 0);
      if (some.length) showOperations(run, lamport, some);
    });
  }
}

// The messages around operations: from the first invocation to the last answer.
function showOperations(run, lamport, some) {
  const start = Math.min(...some.map((i) => run.start[i])), end = Math.max(...some.map((i) => (run.done[i] ? run.end[i] : run.start[i])));
  const margin = Math.max(2000, (end - start) * 0.25);
  showRange(start - margin, end + margin, lamport.range);
  lamport.figure.scrollIntoView({ block: "nearest" });
  lamport.canvas.parentElement.focus({ preventScroll: true });
}

// Every kind of message. A request and its answer have one colour, so they stand together.
function kindLegend(inside) {
  const shown = inside.kinds.slice(0, KINDS_SHOWN_MAX).map((_, kind) => {
    const names = inside.tables.what.filter((_, what) => inside.kindOf[what] === kind).sort();
    return element("span", { class: "outcome" }, element("i", { class: "what", style: `--kind:var(--kind-${kind % 6})` }), ` ${names.map((name) => name || "message").join(", ")}`);
  });
  const more = inside.kinds.length - shown.length;
  return more > 0 ? [...shown, `and ${formatCount(more, "more kind")}`] : shown;
}

function buildLamports(run, select) {
  for (const figure of document.querySelectorAll("figure.lamport")) {
    const lamport = buildLamport(run, figure);
    figure.querySelector(".whats").replaceChildren(...kindLegend(run.simulation));
    drawings.push(() => drawLamport(run, lamport));
    listenLamport(run, lamport, select);
  }
}
