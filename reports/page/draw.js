// What the drawings share: sharp canvases, colours of the style sheet, the axis of time, the bands.

const PLOT_RIGHT_PX = 14;
const GUTTER_MARGIN_PX = 20;
const FONT = '11.5px system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif';
let colours = {};

// The width of the names to the left of all drawings.
function gutter() {
  return view.gutter || parseInt(getComputedStyle(document.documentElement).getPropertyValue("--gutter"), 10);
}

// Colours come from the style sheet alone; light-dark() is settled by asking an element.
function readColours() {
  const names = ["panel", "sunken", "ink", "muted", "line", "grid", "link", "ok", "fail", "info", "guilty",
    "kind-0", "kind-1", "kind-2", "kind-3", "kind-4", "kind-5"];
  const probe = document.body.appendChild(document.createElement("i"));
  colours = {};
  for (const name of names) {
    probe.style.color = `var(--${name})`;
    colours[name] = getComputedStyle(probe).color;
  }
  probe.remove();
  patterns.clear();
}

// What is no fault, such as a step of the end of the run, has no colour of its own.
function kindColour(run, fault) {
  const place = run.kinds.indexOf(fault);
  return place < 0 ? colours.muted : colours[`kind-${place % 6}`];
}

// A canvas of the element's width and the given height, sharp on every screen; it shows a range of time.
function surface(canvas, height, range = view) {
  const width = canvas.parentElement.clientWidth;
  const ratio = window.devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    canvas.style.height = `${height}px`;
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  context.font = FONT;
  context.textBaseline = "middle";
  context.lineWidth = 1;
  return { context, width, height, range, left: gutter(), right: width - PLOT_RIGHT_PX };
}

function xOf(box, time) {
  const { start, end, stretch } = box.range;
  const share = stretch ? interpolate(stretch.times, stretch.shares, time) : (time - start) / (end - start);
  return box.left + share * (box.right - box.left);
}

// Where a canvas stands on the screen, and its plot within it.
function plotOf(canvas, range = view) {
  const { x, y, width } = canvas.getBoundingClientRect();
  return { x, y, range, left: gutter(), right: width - PLOT_RIGHT_PX };
}

function shareAt(canvas, clientX) {
  const { x, left, right } = plotOf(canvas);
  return (clientX - x - left) / (right - left);
}

function timeAt(canvas, clientX, range = view) {
  const share = shareAt(canvas, clientX), { start, end, stretch } = range;
  return stretch ? interpolate(stretch.shares, stretch.times, share) : start + share * (end - start);
}

// The value at a place, by the straight line between the two sorted points around it.
function interpolate(places, values, place) {
  const i = Math.min(places.length - 2, Math.max(0, firstFrom(places, place) - 1));
  return values[i] + ((place - places[i]) / (places[i + 1] - places[i])) * (values[i + 1] - values[i]);
}

// The first position in a sorted array whose value is not below the limit.
function firstFrom(sorted, limit) {
  let low = 0, high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] < limit) low = middle + 1;
    else high = middle;
  }
  return low;
}

function ticks(box) {
  const { start, end } = box.range, span = end - start;
  const step = roundStep((span * 100) / Math.max(100, box.right - box.left));
  const times = [];
  for (let time = Math.ceil(start / step) * step; time <= end; time += step) times.push(time);
  return { times, step };
}

function drawGrid(box, top, bottom) {
  box.context.fillStyle = colours.grid;
  for (const time of ticks(box).times) box.context.fillRect(Math.round(xOf(box, time)), top, 1, bottom - top);
}

function drawAxis(box, y) {
  const { context } = box;
  const { times, step } = ticks(box);
  context.fillStyle = colours.muted;
  context.textAlign = "center";
  let free = 0;
  for (const time of times) {
    const x = xOf(box, time);
    const text = formatTime(time, step * 100);
    const half = context.measureText(text).width / 2;
    if (x - half < free) continue;
    free = x + half + 6;
    context.fillText(text, Math.min(Math.max(x, box.left + half), box.right + PLOT_RIGHT_PX - half - 2), y);
  }
}

function clipPlot(box, top, bottom) {
  box.context.save();
  box.context.beginPath();
  box.context.rect(box.left - 6, top, box.right - box.left + 12, bottom - top);
  box.context.clip();
}

// Whether the words had to be cut.
function drawGutter(box, text, y) {
  const { context } = box;
  context.textAlign = "left";
  context.fillStyle = colours.muted;
  let short = text;
  while (short.length > 2 && context.measureText(short).width > box.left - 14) short = `${short.slice(0, -2)}…`;
  context.fillText(short, 10, y);
  return short !== text;
}

const patterns = new Map();

// Diagonal strokes of a colour, for what is unknown.
function hatch(context, colour) {
  if (!patterns.has(colour)) {
    const tile = document.createElement("canvas");
    tile.width = tile.height = 6;
    const pen = tile.getContext("2d");
    pen.strokeStyle = colour;
    pen.lineWidth = 1.4;
    pen.beginPath();
    for (const shift of [-6, 0, 6]) { pen.moveTo(shift, 6); pen.lineTo(shift + 6, 0); }
    pen.stroke();
    patterns.set(colour, context.createPattern(tile, "repeat"));
  }
  return patterns.get(colour);
}
