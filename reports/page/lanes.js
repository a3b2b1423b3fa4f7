// What the lanes of operations stand for: a worker, a node, or a key.

const GROUPINGS = ["worker", "node", "key"];
const GROUPS_MAX = 12;
const ROWS_MAX = 64, ROWS_OF_GROUP_MAX = 40;
const GUILTY = 3, LOOKS = 4;

// A row holds operations of which none overlaps another. Several rows may be one group; the first
// has its name. Groups without an operation have no row. Everything about the rows is made before
// they are shown.
async function makeRows(run, shown, grouping) {
  const laid = grouping === "worker" ? await rowsOfWorkers(run, shown) : await rowsOfGroups(run, shown, grouping);
  const { rowOf, rows } = laid;
  const lists = await split(shown, rows.length, (i) => rowOf[i]);
  const looks = await split(shown, rows.length * LOOKS, (i) => (rowOf[i] < 0 ? -1 : rowOf[i] * LOOKS + lookOf(run, i)));
  for (const [at, row] of rows.entries()) {
    row.list = lists[at];
    row.looks = looks.slice(at * LOOKS, (at + 1) * LOOKS);
    row.sums = await sumsOf(run, row);
  }
  return { ...laid, laidBy: grouping };
}

// What an operation looks like: ok, fail, info, or named by an anomaly.
function lookOf(run, i) {
  return run.isGuilty[i] ? GUILTY : run.type[i];
}

async function rowsOfWorkers(run, shown) {
  const counts = new Uint32Array(run.laneCount), rowOf = new Int32Array(run.count).fill(-1);
  await inPieces(shown.length, (from, to) => {
    for (let at = from; at < to; at++) counts[run.lane[shown[at]]]++;
  });
  const workers = [...counts.keys()].filter((worker) => counts[worker]);
  const places = new Int32Array(run.laneCount);
  workers.forEach((worker, row) => { places[worker] = row; });
  await inPieces(shown.length, (from, to) => {
    for (let at = from; at < to; at++) rowOf[shown[at]] = places[run.lane[shown[at]]];
  });
  const rows = workers.map((worker) => ({ name: `worker ${worker}`, isFirst: true, value: worker }));
  return { rows, rowOf, groupsShown: 0, groupsLeftOut: 0, operationsLeftOut: 0 };
}

async function rowsOfGroups(run, shown, grouping) {
  const column = run[grouping], rowOf = new Int32Array(run.count).fill(-1);
  const all = await groupsOf(run, shown, grouping);
  const groups = all.slice(0, grouping === "node" ? all.length : GROUPS_MAX);
  const rowsOf = new Array(run.tables[grouping].length);
  for (const { value } of groups) rowsOf[value] = [];
  let count = 0, operationsLeftOut = 0;
  await inPieces(shown.length, (from, to) => {
    for (let at = from; at < to; at++) {
      const i = shown[at], own = rowsOf[column[i]];
      if (!own) continue;
      const free = freeRow(own, run.start[i]);
      if (!free) { operationsLeftOut++; continue; }
      free.number ??= count++;
      free.until = run.end[i];
      rowOf[i] = free.number;
    }
  });
  const rows = [], places = new Int32Array(count).fill(-1);
  let groupsShown = 0;
  for (const { value, name } of groups) {
    if (grouping === "key" && groupsShown && rows.length + rowsOf[value].length > ROWS_MAX) break;
    rowsOf[value].forEach(({ number }, at) => {
      places[number] = rows.length;
      rows.push({ name, isFirst: at === 0, value });
    });
    groupsShown++;
  }
  await inPieces(shown.length, (from, to) => {
    for (let at = from; at < to; at++) if (rowOf[shown[at]] >= 0) rowOf[shown[at]] = places[rowOf[shown[at]]];
  });
  return { rows, rowOf, groupsShown, groupsLeftOut: all.length - groupsShown, operationsLeftOut };
}

// The first row that is free at a time, perhaps a new one; none where too many overlap.
function freeRow(rows, time) {
  for (const row of rows) if (row.until <= time) return row;
  if (rows.length === ROWS_OF_GROUP_MAX) return undefined;
  rows.push({ until: -Infinity });
  return rows.at(-1);
}

// Nodes by name. Keys by interest, and not more than can be looked at.
async function groupsOf(run, shown, grouping) {
  const column = run[grouping], size = run.tables[grouping].length;
  const count = new Uint32Array(size), guilty = new Uint32Array(size), info = new Uint32Array(size);
  await inPieces(shown.length, (from, to) => {
    for (let at = from; at < to; at++) {
      const i = shown[at], value = column[i];
      count[value]++;
      guilty[value] += run.isGuilty[i];
      if (run.type[i] === INFO) info[value]++;
    }
  });
  const values = [...count.keys()].filter((value) => count[value]);
  const groups = values.map((value) => ({ value, name: groupName(run, grouping, value), guilty: guilty[value], info: info[value], count: count[value] }));
  const { compare } = new Intl.Collator("en", { numeric: true });
  const byName = (a, b) => compare(a.name, b.name);
  const byInterest = (a, b) => b.guilty - a.guilty || b.info - a.info || b.count - a.count || byName(a, b);
  return groups.sort(grouping === "node" ? byName : byInterest);
}

function groupName(run, grouping, value) {
  const text = run.tables[grouping][value];
  if (text === null || text === "") return `no ${grouping}`;
  return grouping === "key" ? `key ${text}` : String(text);
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
