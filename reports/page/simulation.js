// What a simulation saw: messages as typed arrays by their sending, states of each server by time.

const ARRIVED = 0, LOST = 1, IN_FLIGHT = 2;
const REPEAT = 1, COPY = 2;
const ROLES = ["leader", "candidate", "follower", "none"];
const MOMENT_MARKS = { synced: "●", unsynced: "✕", snapshot: "◈", installed: "▼", note: "◇" };

function buildSimulation(raw, run) {
  const { columns, tables } = raw.messages;
  const start = sums(columns.start), end = start.map((from, i) => from + columns.took[i]);
  const states = raw.nodes.map((node) => {
    const { role, vote, leader, ...numbers } = raw.states[node];
    const summed = Object.fromEntries(Object.entries(numbers).map(([name, values]) => [name, sums(values)]));
    return { ...summed, role, vote, leader, count: role.length };
  });
  // A request and its answer have one colour: VoteRequest and VoteResult, Vote and VoteResponse.
  const bases = tables.what.map((what) => what.replace(/(.)[ _-]?(request|result|response|reply)$/i, "$1"));
  const counts = new Map(bases.map((base) => [base, 0]));
  for (const what of columns.what) counts.set(bases[what], counts.get(bases[what]) + 1);
  // The usual ones first: there are fewer colours than kinds may be.
  const kinds = [...counts.keys()].sort((a, b) => counts.get(b) - counts.get(a));
  return {
    ...raw, ...columns, tables, start, end, states, kinds,
    count: start.length,
    longest: end.reduce((most, to, i) => Math.max(most, to - start[i]), 0),
    kindOf: bases.map((base) => kinds.indexOf(base)),
    down: downSpans(run),
  };
}

// When a process of a node did not run, or was paused, as its history says.
function downSpans(run) {
  const spans = [];
  for (const node of run.nodes) {
    let open = null;
    const close = (time) => { if (open) spans.push({ ...open, end: time }); open = null; };
    for (const event of run.node_events.filter((one) => one.node === node)) {
      close(event.time);
      if (["killed", "stopped", "paused"].includes(event.what)) open = { node, what: event.what, start: event.time };
    }
    close(run.end_us);
  }
  return spans;
}

// The number of the last state that began by then; -1 before the first.
function stateAt(states, time) {
  let low = 0, high = states.count;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (states.time[middle] <= time) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

// The stretches of a range in which a server kept its state: calls back with a state and its ends.
function eachStretch(states, range, visit) {
  for (let i = Math.max(0, stateAt(states, range.start)); i < states.count && states.time[i] <= range.end; i++) {
    const until = i + 1 < states.count ? states.time[i + 1] : Infinity;
    visit(i, Math.max(range.start, states.time[i]), Math.min(range.end, until));
  }
}

// Neighbours of one role and term are one stretch.
function eachReign(states, range, visit) {
  let open = null;
  eachStretch(states, range, (i, from, to) => {
    if (open && states.role[open.i] === states.role[i] && states.term[open.i] === states.term[i]) open.to = to;
    else {
      if (open) visit(open.i, open.from, open.to);
      open = { i, from, to };
    }
  });
  if (open) visit(open.i, open.from, open.to);
}

function roleText(states, i) {
  const role = ROLES[states.role[i]];
  return role === "none" ? "does not run" : `${role} ${states.term[i]}`;
}

function stateFacts(inside, node, time) {
  const states = inside.states[node], i = stateAt(states, time);
  if (i < 0) return null;
  const name = (other) => (other < 0 ? "nobody" : inside.nodes[other]);
  return [`${inside.nodes[node]}: ${ROLES[states.role[i]] === "none" ? "does not run" : ROLES[states.role[i]]}`, [
    ["at", formatTime(time, 1000)], ["term", states.term[i]], ["voted for", name(states.vote[i])],
    ["leader", name(states.leader[i])], ["log", `${states.first[i]} to ${states.last[i]}`], ["on disk", states.stored[i]],
    ["committed", states.commit[i]], ["applied", states.applied[i]], ["snapshot", states.snapshot[i] || "none"],
  ]];
}

function messageTitle(inside, i) {
  return `${inside.nodes[inside.from[i]]} → ${inside.nodes[inside.to[i]]} ${inside.tables.what[inside.what[i]]}`;
}

function messageFacts(inside, i) {
  const lost = inside.fate[i] === LOST;
  return [messageTitle(inside, i), [
    ["term", inside.term[i] || null],
    ["says", inside.tables.text[inside.text[i]] || null],
    ["sent", formatTime(inside.start[i], 1000)],
    ["arrived", inside.fate[i] === ARRIVED ? `${formatTime(inside.end[i], 1000)}, after ${formatDuration(inside.end[i] - inside.start[i])}` : null],
    ["lost", lost ? `${formatTime(inside.end[i], 1000)}: ${inside.tables.why[inside.why[i]]}` : null],
    ["fate", inside.fate[i] === IN_FLIGHT ? "on its way when the run ended" : null],
    ["copy", inside.flags[i] & COPY ? "the network made it" : null],
    ["repeat", inside.flags[i] & REPEAT ? "says the same as the one before it, and changed nothing" : null],
  ].filter(([, value]) => value !== null)];
}

function momentFacts(moment) {
  const title = moment.name ? `${moment.name} broke` : moment.kind;
  return [`${moment.node ? `${moment.node}: ` : ""}${title}`, [["at", formatTime(moment.time, 1000)], ["what", moment.text]]];
}

function roleColour(role) {
  return colours[ROLE_LOOKS[ROLES[role]][0]];
}

// A hatched stretch where a process does not run or is paused.
function drawHalt(box, span, top, height) {
  const { context, range } = box;
  if (span.end < range.start || span.start > range.end) return;
  const x0 = Math.max(box.left, xOf(box, span.start)), x1 = Math.min(box.right, xOf(box, span.end));
  context.fillStyle = colours.panel;
  context.fillRect(x0, top, Math.max(2, x1 - x0), height);
  context.fillStyle = hatch(context, colours.muted);
  context.fillRect(x0, top, Math.max(2, x1 - x0), height);
  if (x1 - x0 < context.measureText(span.what).width + 12) return;
  context.textAlign = "left";
  halo(context, span.what, x0 + 6, top + height / 2);
  context.fillStyle = colours.ink;
  context.fillText(span.what, x0 + 6, top + height / 2);
}

function drawMark(box, mark, x, y, colour) {
  const { context } = box;
  context.textAlign = "center";
  context.strokeStyle = colours.panel;
  context.lineWidth = 3;
  context.strokeText(mark, x, y);
  context.lineWidth = 1;
  context.fillStyle = colour;
  context.fillText(mark, x, y);
}
