// The run: columns of operations as typed arrays, everything else as it was embedded.

const OUTCOMES = ["ok", "fail", "info"];
const OK = 0, FAIL = 1, INFO = 2;

async function unpack(element) {
  if (element.dataset.encoding === "json") return JSON.parse(element.textContent);
  const bytes = Uint8Array.from(atob(element.textContent), (character) => character.charCodeAt(0));
  const plain = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(plain).json();
}

// Adds up the differences of start times, and finds operations by the index of either event.
function buildRun(raw) {
  const { columns, tables } = raw.operations;
  const count = columns.index.length;
  const start = new Float64Array(count), end = new Float64Array(count);
  const byIndex = new Map();
  const guilty = new Set(raw.guilty);
  const isGuilty = new Uint8Array(count);
  let at = 0;
  for (let i = 0; i < count; i++) {
    at += columns.start[i];
    start[i] = at;
    end[i] = at + columns.took[i];
    const index = columns.index[i], done = index + columns.done[i];
    byIndex.set(index, i).set(done, i);
    isGuilty[i] = guilty.has(index) || guilty.has(done) ? 1 : 0;
  }
  const typed = (name, Kind) => Kind.from(columns[name]);
  const simulation = raw.simulation && buildSimulation(raw.simulation, { ...raw, end_us: raw.end });
  return {
    ...raw, ...columns, simulation, end_us: raw.end, count, start, end, byIndex, isGuilty, tables,
    lane: typed("lane", Uint16Array), type: typed("type", Uint8Array), f: typed("f", Uint16Array),
    key: typed("key", Uint32Array), node: typed("node", Uint16Array), laneCount: raw.lanes,
  };
}

// `write 41`, `read → 17`: the same words as in the window.
function labelOf(run, i) {
  const text = [run.tables.f[run.f[i]], run.asked[i], run.answered[i]].filter(Boolean).join(" ");
  return run.type[i] === OK ? text : `${text} · ${OUTCOMES[run.type[i]]}`;
}

// The first position in a sorted list of operations whose value is not below the limit.
function lowerBound(list, values, limit) {
  let low = 0, high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[list[middle]] < limit) low = middle + 1;
    else high = middle;
  }
  return low;
}
