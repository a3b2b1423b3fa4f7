// The rows below the operations: faults by family, the end of the run, and the nodes.

const EXTRA_LANE_PX = 20, GAP_PX = 8;
const FOLD_KINDS_MIN = 9;
const GUTTER_PX_MAX = 220, GUTTER_SHARE_MAX = 0.3;

// Sorts what never changes, and decides which families are open in the beginning.
function prepareRows(run) {
  run.spans = makeSpans(run.bands);
  run.waitSpans = makeSpans(run.waits);
  const isOpen = run.kinds.length < FOLD_KINDS_MIN;
  view.open = new Set(isOpen ? Object.values(run.families) : []);
}

// Each has a name, and a place `y` below the first. Rows in which nothing would stand are left out.
function buildExtras(run) {
  const sections = [faultRows(run), endRows(run), nodeRows(run)].filter((rows) => rows.length);
  let y = 0;
  view.extras = sections.flatMap((rows) => {
    const placed = rows.map((row, i) => ({ ...row, y: y + i * EXTRA_LANE_PX }));
    y += rows.length * EXTRA_LANE_PX + GAP_PX;
    return placed;
  });
  view.extrasHeight = y;
}

// A family of one kind needs no fold.
function faultRows(run) {
  const families = new Map();
  for (const kind of run.kinds) {
    const family = run.families[kind];
    families.set(family, [...(families.get(family) || []), kind]);
  }
  const spansOf = groupBy(run.bands, (band) => [band.fault]), marksOf = groupBy(run.marks, (mark) => [mark.fault]);
  const row = (name, kinds, more) => ({
    name, spans: makeSpans(kinds.flatMap((kind) => spansOf.get(kind) || [])), marks: byTime(kinds.flatMap((kind) => marksOf.get(kind) || [])), ...more,
  });
  return [...families].flatMap(([family, kinds]) => {
    if (kinds.length === 1) return [row(kinds[0], kinds, { type: "fault" })];
    const isOpen = view.open.has(family);
    const head = row(family, isOpen ? [] : kinds, { type: "family", isOpen, title: kinds.join(", ") });
    return [head, ...(isOpen ? kinds.map((kind) => row(kind, [kind], { type: "fault", isInner: true })) : [])];
  });
}

function endRows(run) {
  const steps = run.end_of_run.filter((step) => !step.skipped);
  return steps.length ? [{ type: "end", name: "end of run", spans: makeSpans(steps), marks: [] }] : [];
}

function nodeRows(run) {
  const spansOf = groupBy(run.bands, (band) => band.targets), eventsOf = groupBy(run.node_events, (event) => [event.node]);
  const downsOf = groupBy(run.downs, (down) => [down.node]);
  const rows = run.nodes.map((node) => ({
    type: "node", name: node, spans: makeSpans(spansOf.get(node) || []), marks: byTime(eventsOf.get(node) || []), downs: makeSpans(downsOf.get(node) || []),
  }));
  return rows.filter((row) => row.spans.list.length || row.marks.length || row.downs.list.length);
}

function byTime(marks) {
  return [...marks].sort((a, b) => a.time - b.time);
}

function groupBy(list, namesOf) {
  const groups = new Map();
  for (const one of list) {
    for (const name of namesOf(one)) {
      if (!groups.has(name)) groups.set(name, []);
      groups.get(name).push(one);
    }
  }
  return groups;
}

function toggleFamily(run, family) {
  if (!view.open.delete(family)) view.open.add(family);
  arrange(run);
}

// Opens all families, or folds them when all are open.
function toggleFamilies(run) {
  const folds = view.extras.filter((row) => row.type === "family");
  const isOpen = folds.every((row) => row.isOpen);
  for (const { name } of folds) {
    if (isOpen) view.open.delete(name);
    else view.open.add(name);
  }
  arrange(run);
}

// Rows, the width of their names, and a new drawing.
function arrange(run) {
  buildExtras(run);
  fitGutter();
  redraw();
}

// The same, where the lanes have changed.
function arrangeLanes(run) {
  document.getElementById("worker-rule").hidden = view.laidBy !== "worker";
  document.getElementById("group-rule").hidden = view.laidBy === "worker";
  arrange(run);
}

// As wide as the longest name up to a limit; longer ones are cut, and have a title.
function fitGutter() {
  view.gutter = 0;
  const least = gutter();
  const limit = Math.max(least, Math.min(GUTTER_PX_MAX, Math.round(document.getElementById("timeline-chart").clientWidth * GUTTER_SHARE_MAX)));
  const pen = document.getElementById("operations").getContext("2d");
  pen.font = FONT;
  const widths = [...view.rows, ...view.extras].map((row) => pen.measureText(nameOf(row)).width);
  view.gutter = Math.min(limit, Math.max(least, Math.ceil(Math.max(0, ...widths)) + GUTTER_MARGIN_PX));
  document.documentElement.dataset.gutter = view.gutter;
}

function nameOf(row) {
  if (row.type === "family") return `${row.isOpen ? "▾" : "▸"} ${row.name}`;
  return row.isInner ? `   ${row.name}` : row.name;
}

// Invisible elements on the names: a title where one is cut, and a button where a family folds.
function placeLabels(run, layout) {
  const holder = document.getElementById("lane-labels");
  const labels = layout.labels.map(({ row, y, isCut }) => ({ row, y, isCut, text: nameOf(row).trim() }));
  const state = JSON.stringify([view.gutter, labels.map(({ text, y, isCut }) => [text, y, isCut])]);
  if (holder.dataset.state === state) return;
  holder.dataset.state = state;
  const focused = document.activeElement?.dataset?.family;
  holder.replaceChildren(...labels.map((label) => labelElement(run, label)));
  if (focused !== undefined) [...holder.children].find((one) => one.dataset.family === focused)?.focus();
}

function labelElement(run, { row, y, isCut, text }) {
  const isFold = row.type === "family";
  const title = isFold ? row.title : isCut ? row.name : undefined;
  const made = isFold
    ? element("button", { type: "button", "aria-expanded": String(row.isOpen), "data-family": row.name, title }, row.name)
    : element("span", { title }, text);
  made.style.top = `${y - EXTRA_LANE_PX / 2}px`;
  made.style.width = `${view.gutter}px`;
  if (isFold) made.addEventListener("click", () => toggleFamily(run, row.name));
  return made;
}
