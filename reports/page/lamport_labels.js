// The words of messages: along their arrows, where they cover nothing. What has no room is counted.

const LABELS_MAX = 60, LABEL_PX_MAX = 330, LABEL_HEIGHT_PX = 14, LABEL_GAP_PX = 4, CLUSTER_PX = 110;
const LABEL_SHARES = [0.5, 0.35, 0.65, 0.22, 0.78];
const COUNT_PLACES = [0, 1, -1, 2, -2].flatMap((row) => [0, 24, -24, 48, -48].map((dx) => [dx, row * LABEL_HEIGHT_PX]));
const LIFELINE_PX = 6; // Above and below a server's line.

// Whether a text has room; it takes its place then.
function takePlace(placed, x, y, width, height) {
  const box = { x, y, right: x + width, bottom: y + height };
  if (placed.some((one) => box.x < one.right && box.right > one.x && box.y < one.bottom && box.bottom > one.y)) return false;
  placed.push(box);
  return true;
}

// Whether a line of text has room, with its middle at y.
function takeLine(placed, x, y, width) {
  return takePlace(placed, x - LABEL_GAP_PX, y - LABEL_HEIGHT_PX / 2, width + 2 * LABEL_GAP_PX, LABEL_HEIGHT_PX);
}

// What no text may cover: the lines of the servers, strokes of faults, broken invariants, crosses.
function occupied(run, box, layout, telling) {
  const inside = run.simulation;
  const around = (x, y, dx, dy) => ({ x: x - dx, right: x + dx, y: y - dy, bottom: y + dy });
  const middle = (box.left + box.right) / 2;
  const lines = inside.nodes.map((_, node) => around(middle, layout.serverY(node), box.width, LIFELINE_PX));
  const broken = inside.violations.map((one) => around(xOf(box, one.time), violationY(inside, layout, one), 9, 9));
  const lost = telling.filter((i) => inside.fate[i] === LOST).map((i) => arrowOf(inside, box, layout, i)).filter(({ isOpen }) => !isOpen);
  const faults = run.bands.flatMap((band) => faultStrokes(inside, box, layout, band));
  return [...lines, ...faults, ...broken, ...lost.map(({ x1, y1 }) => around(x1, y1, 5, 5))];
}

// The role and the term of a server, where it comes to have them.
function drawRoleWords(inside, box, layout, node, placed) {
  const { context } = box, states = inside.states[node], y = layout.serverY(node) + 15;
  context.textAlign = "left";
  eachReign(states, box.range, (i, from) => {
    if (from <= box.range.start) return;
    const role = states.role[i], text = roleText(states, i), x = xOf(box, from) + 3;
    if (takeLine(placed, x, y, context.measureText(text).width)) drawWords(context, text, x, y, ROLES[role] === "follower" ? colours.muted : roleColour(role));
  });
}

// Returns how many messages have no words.
function drawMessageLabels(inside, box, layout, { telling, focused }, placed) {
  if (telling.length > LABELS_MAX * 3) return telling.length;
  box.context.textAlign = "left";
  // Those that arrive within the window come first: the others are only on their way here.
  const leaves = (i) => inside.end[i] > box.range.end || inside.fate[i] === IN_FLIGHT;
  const rank = (i) => (i === focused ? 0 : leaves(i) ? 2 : 1);
  const unsaid = [];
  let count = 0;
  for (const i of [...telling].sort((a, b) => rank(a) - rank(b))) {
    const isSaid = count < LABELS_MAX && textsOf(inside, i).some((text) => labelArrow(inside, box, layout, i, text, placed));
    if (isSaid) count += 1;
    else unsaid.push(i);
  }
  drawCounts(inside, box, layout, unsaid, placed);
  return unsaid.length;
}

// The words of a message, and fewer words for less room.
function textsOf(inside, i) {
  const what = inside.tables.what[inside.what[i]], said = inside.tables.text[inside.text[i]];
  const why = inside.fate[i] === LOST ? `lost: ${inside.tables.why[inside.why[i]]}` : "";
  return [[what, said, why], [what, why]].map((words) => words.filter(Boolean).join(" ")).filter(Boolean);
}

function labelArrow(inside, box, layout, i, text, placed) {
  const { context } = box, width = context.measureText(text).width;
  if (width > LABEL_PX_MAX) return false;
  const { x0, y0, x1, y1 } = arrowOf(inside, box, layout, i);
  for (const share of LABEL_SHARES) {
    const along = x0 + (x1 - x0) * share, y = y0 + (y1 - y0) * share;
    for (const x of [along + 6, along - 6 - width]) {
      if (x < box.left || x + width > box.right + LABEL_GAP_PX || !takeLine(placed, x, y, width)) continue;
      drawWords(context, text, x, y, inside.fate[i] === LOST ? colours.guilty : colours.ink);
      return true;
    }
  }
  return false;
}

// Messages without words that are close to each other are one "+3", where it has room.
function drawCounts(inside, box, layout, unsaid, placed) {
  const clusters = new Map();
  for (const i of unsaid) {
    const { x0, y0, x1, y1 } = arrowOf(inside, box, layout, i);
    const x = Math.min(box.right, Math.max(box.left, (x0 + x1) / 2)), row = Math.floor(((y0 + y1) / 2 - layout.serversTop) / SERVER_PX - 0.5);
    const key = `${row} ${Math.floor(x / CLUSTER_PX)}`;
    const cluster = clusters.get(key) || { x: 0, y: layout.serversTop + (row + 1) * SERVER_PX, count: 0 };
    clusters.set(key, { ...cluster, x: cluster.x + x, count: cluster.count + 1 });
  }
  for (const { x, y, count } of clusters.values()) drawCount(box, `+${count}`, x / count, y, placed);
}

function drawCount(box, text, x, y, placed) {
  const width = box.context.measureText(text).width;
  for (const [dx, dy] of COUNT_PLACES) {
    const left = x + dx - width / 2;
    if (left < box.left || left + width > box.right + LABEL_GAP_PX || !takeLine(placed, left, y + dy, width)) continue;
    drawWords(box.context, text, left, y + dy, colours.muted);
    return;
  }
}

function drawWords(context, text, x, y, colour) {
  halo(context, text, x, y);
  context.fillStyle = colour;
  context.fillText(text, x, y);
}
