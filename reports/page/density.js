// Lanes where operations are closer than pixels: a column per pixel, in which each outcome is as high
// as its share of the time that the operations of these pixels took.
//
// Sums over the bins of the whole run are made with the rows. So a column of thousands of operations
// costs as much as one of two, and where pixels are finer than bins, few operations are in sight.

const BINS = 1 << 14;
const BINS_PER_PX_MIN = 2;
const SUMMED_MIN = 4096;
const JOINED_ALPHA = 140, FULL_ALPHA = 255, FAINT_ALPHA = 110, GAP_ALPHA = 60;

// Per outcome the time that operations took before each bin of the run, in µs; null for few operations.
async function sumsOf(run, { list, looks }) {
  if (list.length < SUMMED_MIN) return null;
  const length = run.end_us / BINS, sums = [];
  for (const of of looks.slice(0, GUILTY)) {
    const before = new Float64Array(of.length ? BINS + 1 : 0);
    await inPieces(of.length, (from, to) => {
      for (let at = from; at < to; at++) addStretch(before, 1, BINS, run.start[of[at]] / length, tookOf(run, of[at]) / length, length);
    });
    for (let bin = 1; bin < before.length; bin++) before[bin] += before[bin - 1];
    sums.push(before);
  }
  return sums;
}

// What took no time by its clock is seen all the same.
function tookOf(run, i) {
  return Math.max(1, run.end[i] - run.start[i]);
}

// Adds a stretch to the cells that it touches, each by how much of it lies there; `unit` is what a
// whole cell counts. Cells begin at an offset, and there are so many.
function addStretch(cells, offset, count, start, length, unit) {
  const end = start + length, last = Math.min(count - 1, Math.ceil(end) - 1);
  for (let cell = Math.max(0, Math.floor(start)); cell <= last; cell++) {
    cells[offset + cell] += (Math.min(end, cell + 1) - Math.max(start, cell)) * unit;
  }
}

// What the operations of a row took in each pixel of the plot, outcome after outcome; and those that
// are wide enough to be drawn one by one, by outcome: which one, where it begins, how wide it is.
function columnsOf(run, box, row) {
  const width = Math.max(1, Math.ceil(box.right - box.left));
  const times = new Float64Array(GUILTY * width), bars = [[], [], []];
  const scale = (box.right - box.left) / (view.end - view.start);
  const isSummed = row.sums && run.end_us / BINS * BINS_PER_PX_MIN * scale <= 1;
  for (let outcome = 0; outcome < GUILTY; outcome++) {
    if (isSummed) sumInto(times, outcome * width, width, row.sums[outcome], (BINS / run.end_us) * view.start, BINS / run.end_us / scale);
    else scanInto(run, box, row.looks[outcome], scale, times, outcome * width, width, bars[outcome]);
  }
  return { width, times, bars };
}

// `first` is the bin where the plot begins, and a pixel is `step` of them.
function sumInto(times, offset, width, before, first, step) {
  if (!before.length) return;
  const edge = (x) => before[Math.min(BINS, Math.max(0, Math.round(first + x * step)))];
  let last = edge(0);
  for (let x = 0; x < width; x++) {
    const next = edge(x + 1);
    times[offset + x] = next - last;
    last = next;
  }
}

function scanInto(run, box, list, scale, times, offset, width, bars) {
  const [from, to] = between(run, list, view.start, view.end);
  const isSparse = to - from <= width;
  for (let at = from; at < to; at++) {
    const i = list[at], x = (run.start[i] - view.start) * scale, long = tookOf(run, i) * scale;
    const isWide = long >= HOLLOW_PX_MIN;
    if (isWide || isSparse) {
      const left = Math.max(0, x), right = Math.max(left + 1, Math.min(box.right - box.left, x + long));
      bars.push(i, box.left + left, right - left);
    }
    if (!isWide) addStretch(times, offset, width, x, long, 1);
  }
}

// A picture of all lanes, a pixel of which is one of the plot: thousands of rectangles would take longer.
class Picture {
  constructor(width, height) {
    this.image = new ImageData(width, height);
    this.pixels = new Uint32Array(this.image.data.buffer);
    this.inks = OUTCOMES.map((outcome) => inkOf(colours[outcome]));
  }

  // The columns of one lane, from a line on.
  add({ width, times }, top, height) {
    const strokes = strokesOf(times.subarray(INFO * width), times, width);
    for (let x = 0; x < width; x++) {
      const ok = times[x], fail = times[width + x], info = times[2 * width + x], all = ok + fail + info;
      if (!all) continue;
      const failHigh = heightOf(fail / all, height), infoHigh = heightOf(info / all, height - failHigh.lines);
      const okLines = height - failHigh.lines - infoHigh.lines;
      this.fill(x, top, okLines, () => this.inks[OK] | (JOINED_ALPHA << 24));
      // What is unknown keeps its strokes where it is wide.
      const alpha = (y) => (!strokes[x] || (x + y) % 6 < 2 ? infoHigh.alpha : GAP_ALPHA);
      this.fill(x, top + okLines, infoHigh.lines, (y) => this.inks[INFO] | (alpha(y) << 24));
      this.fill(x, top + okLines + infoHigh.lines, failHigh.lines, () => this.inks[FAIL] | (failHigh.alpha << 24));
    }
  }

  fill(x, top, lines, inkAt) {
    for (let y = top; y < top + lines; y++) this.pixels[y * this.image.width + x] = inkAt(y);
  }

  draw({ context }, x, y) {
    const canvas = document.createElement("canvas");
    canvas.width = this.image.width;
    canvas.height = this.image.height;
    canvas.getContext("2d").putImageData(this.image, 0, 0);
    context.imageSmoothingEnabled = false;
    context.drawImage(canvas, x, y);
  }
}

// A share of the height in whole lines. What is there has one at least, which is paler for less.
function heightOf(share, height) {
  if (!share || height < 1) return { lines: 0, alpha: 0 };
  const lines = Math.min(height, Math.max(1, Math.round(share * height)));
  return { lines, alpha: Math.round(FAINT_ALPHA + (FULL_ALPHA - FAINT_ALPHA) * Math.min(1, share * height)) };
}

// Which columns belong to a stretch of info alone that is wide enough for strokes.
function strokesOf(infos, times, width) {
  const strokes = new Uint8Array(width);
  let from = 0;
  for (let x = 0; x <= width; x++) {
    const isAlone = x < width && infos[x] > 0.9 * (times[x] + times[width + x] + infos[x]);
    if (isAlone) continue;
    if (x - from >= HOLLOW_PX_MIN) strokes.fill(1, from, x);
    from = x + 1;
  }
  return strokes;
}

const inks = new Map();

// A colour as a pixel of a picture has it, without its opacity.
function inkOf(colour) {
  if (!inks.has(colour)) {
    const pen = document.createElement("canvas").getContext("2d");
    pen.fillStyle = colour;
    pen.fillRect(0, 0, 1, 1);
    const [red, green, blue] = pen.getImageData(0, 0, 1, 1).data;
    inks.set(colour, red | (green << 8) | (blue << 16));
  }
  return inks.get(colour);
}
