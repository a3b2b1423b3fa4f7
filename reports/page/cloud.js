// The cloud of latencies: how many operations stand in each cell of time and latency. Sums over the
// bins of the whole run are made for each choice of filters, so that a frame costs by its cells.

const CLOUD_BINS = 1 << 13;
const CELL_PX = 2;
const CLOUD_BINS_PER_CELL_MIN = 2;

// Per outcome, for each bin of the run, how many operations of each height were invoked before it.
// Null for few operations: these are counted when they are drawn.
async function cloudOf(run, byOutcome, powers) {
  const heights = cloudHeights(powers), lines = heights.lines, clouds = [];
  for (const list of byOutcome) {
    if (list.length <= POINTS_MAX / 2) { clouds.push(null); continue; }
    const before = new Uint32Array((CLOUD_BINS + 1) * lines), factor = CLOUD_BINS / run.end_us;
    await inPieces(list.length, (from, to) => {
      for (let at = from; at < to; at++) {
        const i = list[at], bin = Math.min(CLOUD_BINS - 1, Math.floor(run.start[i] * factor));
        before[(bin + 1) * lines + heights.lineOf(run.end[i] - run.start[i])]++;
      }
    });
    await inPieces(before.length - lines, (from, to) => {
      for (let at = from + lines; at < to + lines; at++) before[at] += before[at - lines];
    });
    clouds.push(before);
  }
  return clouds;
}

// The line of cells in which a latency stands. The axis is cut in 256 steps, which are looked up.
function cloudHeights([low, high]) {
  const { y } = latencyScale([low, high]), factor = 255 / (high - low);
  const lineAt = Int32Array.from({ length: 256 }, (_, place) => (y(10 ** (low + place / factor)) / CELL_PX) | 0);
  return { lines: Math.ceil(LATENCY_PX / CELL_PX), lineOf: (us) => lineAt[Math.round((Math.log10(Math.max(1, us)) - low) * factor)] };
}

// How many operations of an outcome each cell in sight holds, line after line.
function cellsOf(run, box, outcome, columns) {
  const { byOutcome, cloud, powers } = view.measures;
  const list = byOutcome[outcome], before = cloud[outcome], heights = cloudHeights(powers);
  const cells = new Float32Array(columns * heights.lines);
  const perCell = ((view.end - view.start) / (box.right - box.left)) * CELL_PX;
  if (before && perCell * CLOUD_BINS >= run.end_us * CLOUD_BINS_PER_CELL_MIN) {
    for (let column = 0; column < columns; column++) addBins(cells, column, columns, before, heights.lines, view.start + column * perCell, perCell, CLOUD_BINS / run.end_us);
    return cells;
  }
  const from = lowerBound(list, run.start, view.start), to = lowerBound(list, run.start, view.end);
  for (let at = from; at < to; at++) {
    const i = list[at];
    cells[heights.lineOf(run.end[i] - run.start[i]) * columns + (((run.start[i] - view.start) / perCell) | 0)]++;
  }
  return cells;
}

// A bin that a cell covers in part counts by that part.
function addBins(cells, column, columns, before, lines, start, length, perUs) {
  const last = Math.min(CLOUD_BINS, (start + length) * perUs), first = Math.min(last, start * perUs);
  const sum = (bin, line) => {
    const whole = Math.floor(bin), at = whole * lines + line;
    return whole === CLOUD_BINS ? before[at] : before[at] + (bin - whole) * (before[at + lines] - before[at]);
  };
  for (let line = 0; line < lines; line++) cells[line * columns + column] = sum(last, line) - sum(first, line);
}
