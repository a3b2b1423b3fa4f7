// What the lanes of operations stand for: a worker, a node, or a key.

const GROUPINGS = ["worker", "node", "key"];
const GROUPS_MAX = 12;
const ROWS_MAX = 64, ROWS_OF_GROUP_MAX = 40;

// A row holds operations of which none overlaps another. Several rows may be one group; the first
// has its name. Groups without an operation have no row.
function buildRows(run) {
  view.groupsShown = view.groupsLeftOut = 0;
  view.operationsLeftOut = 0;
  view.rows = view.grouping === "worker" ? rowsOfWorkers() : rowsOfGroups(run);
  view.rowOf = new Int32Array(run.count).fill(-1);
  view.rows.forEach((row, at) => { for (const i of row.list) view.rowOf[i] = at; });
  document.getElementById("worker-rule").hidden = view.grouping !== "worker";
  document.getElementById("group-rule").hidden = view.grouping === "worker";
}

function rowsOfWorkers() {
  const rows = view.lanes.map((list, worker) => ({ list, name: `worker ${worker}`, isFirst: true, value: worker }));
  return rows.filter((row) => row.list.length);
}

function rowsOfGroups(run) {
  const column = run[view.grouping], rows = [];
  const groups = groupsOf(run, column);
  const rowsOf = new Map(groups.map((group) => [group.value, []]));
  for (const i of view.shown) {
    const own = rowsOf.get(column[i]);
    if (!own) continue;
    const free = own.find((row) => row.until <= run.start[i]) ?? addRow(own);
    if (!free) { view.operationsLeftOut++; continue; }
    free.list.push(i);
    free.until = run.end[i];
  }
  for (const [place, { value, name }] of groups.entries()) {
    const own = rowsOf.get(value);
    if (view.grouping === "key" && place && rows.length + own.length > ROWS_MAX) {
      view.groupsLeftOut += groups.length - place;
      break;
    }
    own.forEach((row, at) => rows.push({ list: row.list, name, isFirst: at === 0, value }));
    view.groupsShown = place + 1;
  }
  return rows;
}

function addRow(rows) {
  if (rows.length === ROWS_OF_GROUP_MAX) return undefined;
  rows.push({ list: [], until: -Infinity });
  return rows.at(-1);
}

// Nodes by name. Keys by interest, and not more than can be looked at.
function groupsOf(run, column) {
  const groups = new Map();
  for (const i of view.shown) {
    if (!groups.has(column[i])) groups.set(column[i], { value: column[i], name: groupName(run, column[i]), guilty: 0, info: 0, count: 0 });
    const group = groups.get(column[i]);
    group.count++;
    group.guilty += run.isGuilty[i];
    if (run.type[i] === INFO) group.info++;
  }
  const byName = (a, b) => a.name.localeCompare(b.name, "en", { numeric: true });
  const byInterest = (a, b) => b.guilty - a.guilty || b.info - a.info || b.count - a.count || byName(a, b);
  const sorted = [...groups.values()].sort(view.grouping === "node" ? byName : byInterest);
  const most = view.grouping === "node" ? sorted.length : GROUPS_MAX;
  view.groupsLeftOut = Math.max(0, sorted.length - most);
  return sorted.slice(0, most);
}

function groupName(run, value) {
  const text = run.tables[view.grouping][value];
  if (text === null || text === "") return `no ${view.grouping}`;
  return view.grouping === "key" ? `key ${text}` : String(text);
}

// What the lanes leave out, in words.
function lanesNote() {
  const parts = [];
  if (view.groupsLeftOut) {
    parts.push(`${view.groupsShown} of ${(view.groupsShown + view.groupsLeftOut).toLocaleString("en")} keys: first those that an anomaly names, then those with the most info, then those with the most operations`);
  }
  if (view.operationsLeftOut) parts.push(`${formatCount(view.operationsLeftOut, "operation")} left out, because more than ${ROWS_OF_GROUP_MAX} overlap`);
  return parts.join("; ");
}

// Which groupings say something about this run.
function usefulGroupings(run) {
  return GROUPINGS.filter((name) => name === "worker" || run.tables[name].some((text) => text !== null && text !== ""));
}

function buildGroupings(run, changed) {
  const select = document.getElementById("grouping");
  select.append(...usefulGroupings(run).map((name) => element("option", { value: name }, name)));
  select.closest("label").hidden = select.options.length < 2;
  select.value = view.grouping;
  select.addEventListener("change", () => changed(select.value));
}
