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

function showRange(start, end) {
  const span = Math.min(view.whole, Math.max(SPAN_US_MIN, end - start));
  view.start = Math.min(Math.max(0, start), view.whole - span);
  view.end = view.start + span;
  redraw();
}

// Zoom by a factor below 1 to see less, around a moment that stays where it is.
function zoom(factor, around) {
  showRange(around - (around - view.start) * factor, around + (view.end - around) * factor);
}

function pan(shareOfRange) {
  const shift = (view.end - view.start) * shareOfRange;
  showRange(view.start + shift, view.end + shift);
}

function showWhole() {
  showRange(0, view.whole);
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
