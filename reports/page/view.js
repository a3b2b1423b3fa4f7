// What is shown: the range of time, the operations that pass the filters, the one selected.

const view = {
  start: 0, end: 1, whole: 1, shown: [], selected: -1, focused: -1, measures: null,
  grouping: "worker", laidBy: "worker", rows: [], rowOf: [], extras: [], extrasHeight: 0, open: new Set(), gutter: 0,
  hoveredBand: null, selectedBand: null,
};
const SPAN_US_MIN = 20;
const REVEAL_US = 500_000;
const drawings = [];
let isQueued = false;

// Every drawing runs once per frame at most, however many things changed.
function redraw() {
  if (isQueued) return;
  isQueued = true;
  requestAnimationFrame(() => {
    isQueued = false;
    drawNow();
  });
}

function drawNow() {
  if (!drawings.length) return; // The run is still being unpacked.
  const began = performance.now();
  for (const draw of drawings) draw();
  document.documentElement.dataset.frameMs = (performance.now() - began).toFixed(2);
}

// A range has a start, an end and the whole it lies in; one with a home goes back to that.
function showRange(start, end, range = view) {
  const span = Math.min(range.whole, Math.max(SPAN_US_MIN, end - start));
  range.start = Math.min(Math.max(0, start), range.whole - span);
  range.end = range.start + span;
  redraw();
}

// Zoom by a factor below 1 to see less, around a moment that stays where it is.
function zoom(factor, around, range = view) {
  showRange(around - (around - range.start) * factor, around + (range.end - around) * factor, range);
}

function pan(shareOfRange, range = view) {
  const shift = (range.end - range.start) * shareOfRange;
  showRange(range.start + shift, range.end + shift, range);
}

function showHome(range = view) {
  const [start, end] = range.home || [0, range.whole];
  showRange(start, end, range);
}

// Half a second around what a link leads to, or more where it lasts longer.
function reveal(start, end) {
  const half = Math.max(REVEAL_US / 2, ((end - start) * 1.25) / 2);
  const isClose = view.end - view.start <= 2 * half && start >= view.start && end <= view.end;
  if (!isClose) showRange((start + end) / 2 - half, (start + end) / 2 + half);
}

// Operations of a list that overlap a range of time. Within a lane none overlaps another, so the
// ends are sorted as the starts are.
function between(run, list, start, end) {
  return [lowerBound(list, run.end, start), lowerBound(list, run.start, end)];
}
