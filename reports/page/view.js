// What is shown: the range of time, the operations that pass the filters, the one selected.

const view = { start: 0, end: 1, whole: 1, shown: [], lanes: [], selected: -1, focused: -1, latencyRange: null };
const SPAN_US_MIN = 20;
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

// Make sure that an operation can be seen: go there, and zoom in until it is not a hair.
function reveal(start, end) {
  const took = Math.max(1, end - start);
  const span = Math.min(view.end - view.start, Math.max(took * 12, 20_000));
  const isVisible = start >= view.start && end <= view.end;
  if (isVisible && took * 400 > view.end - view.start) return;
  const middle = took < span ? (start + end) / 2 : start + span / 3;
  showRange(middle - span / 2, middle + span / 2);
}

function buildLanes(run, passes) {
  view.shown = [];
  view.latencyRange = null;
  view.lanes = Array.from({ length: run.laneCount }, () => []);
  for (let i = 0; i < run.count; i++) {
    if (!passes(i)) continue;
    view.shown.push(i);
    view.lanes[run.lane[i]].push(i);
  }
}

// Operations of a list that overlap a range of time. Within a lane none overlaps another, so the
// ends are sorted as the starts are.
function between(run, list, start, end) {
  return [lowerBound(list, run.end, start), lowerBound(list, run.start, end)];
}
