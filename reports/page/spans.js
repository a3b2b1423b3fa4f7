// Stretches of time, sorted so that those in sight are found at once: faults, waits, nodes that were down.

const SHADED_MAX = 8;
const HATCH_ALPHA = 0.3;
const WAIT_LINE_PX = 15, WAIT_LINES_MAX = 5;

// By start; `reach` is how far any of them up to here lasts.
function makeSpans(list) {
  const sorted = [...list].sort((a, b) => a.start - b.start);
  let most = -Infinity;
  const reach = sorted.map((span) => (most = Math.max(most, span.end)));
  return { list: sorted, starts: sorted.map((span) => span.start), reach };
}

// Those that overlap a range; not more than the limit.
function spansWithin(spans, start, end, limit = Infinity) {
  const found = [];
  for (let at = firstFrom(spans.reach, start); at < spans.list.length && spans.starts[at] <= end; at++) {
    if (spans.list[at].end >= start) found.push(spans.list[at]);
    if (found.length >= limit) break;
  }
  return found;
}

// Few faults all shade the lanes. Of many, only the one that is pointed at, and the selected one.
function shadedBands(run, range) {
  const chosen = [view.hoveredBand, view.selectedBand].filter((band) => band && band.start !== undefined);
  const inSight = spansWithin(run.spans, range.start, range.end, SHADED_MAX + 1);
  const shaded = inSight.length > SHADED_MAX ? chosen : [...inSight, ...chosen];
  return [...new Set(shaded)].filter((band) => band.end >= range.start && band.start <= range.end);
}

// Faults in force, paler while they were being injected, and waits, behind everything else.
function drawBands(run, box, top, bottom) {
  const { context } = box;
  const bands = shadedBands(run, box.range);
  for (const band of bands) {
    const [x0, x1] = edges(box, band), held = Math.max(x0, Math.min(x1, xOf(box, band.held ?? band.start)));
    const alpha = band === view.hoveredBand || band === view.selectedBand ? 0.2 : 0.1;
    context.fillStyle = kindColour(run, band.fault);
    context.globalAlpha = alpha / 2;
    context.fillRect(x0, top, held - x0, bottom - top);
    context.globalAlpha = alpha;
    context.fillRect(held, top, Math.max(1, x1 - held), bottom - top);
  }
  context.globalAlpha = HATCH_ALPHA;
  context.fillStyle = hatch(context, colours.muted);
  for (const wait of spansWithin(run.waitSpans, box.range.start, box.range.end)) {
    const [x0, x1] = edges(box, wait);
    context.fillRect(x0, top, Math.max(1, x1 - x0), bottom - top);
  }
  context.globalAlpha = 1;
  return bands.length;
}

// How long before or after a stretch a time is; 0 within.
function far(span, time) {
  return Math.max(0, span.start - time, time - span.end);
}

// Where a stretch begins and ends within the plot.
function edges(box, span) {
  return [Math.max(box.left, xOf(box, span.start)), Math.min(box.right, xOf(box, span.end))];
}

// The words of a wait in the middle of what is in sight of it, in as many lines as they need. Where
// there is no room for a word, only its hatching stands, and a pointer shows the words.
function drawWaitLabels(run, box, y) {
  const { context } = box;
  context.textAlign = "center";
  for (const wait of spansWithin(run.waitSpans, view.start, view.end)) {
    const [x0, x1] = edges(box, wait), room = x1 - x0 - 20;
    const duration = formatDuration(wait.end - wait.start);
    const lines = waitLines(context, wait.what, duration, room);
    if (!lines.length) continue;
    const middle = (x0 + x1) / 2;
    const half = Math.max(...lines.map((line) => context.measureText(line).width)) / 2 + 7;
    const height = lines.length * WAIT_LINE_PX + 6, top = y - height / 2;
    context.fillStyle = colours.panel;
    context.fillRect(middle - half, top, 2 * half, height);
    context.strokeStyle = colours.line;
    context.strokeRect(middle - half + 0.5, top + 0.5, 2 * half - 1, height - 1);
    context.fillStyle = colours.ink;
    lines.forEach((line, i) => context.fillText(line, middle, top + 3 + (i + 0.5) * WAIT_LINE_PX));
  }
}

// What was waited for and how long, as far as there is room; perhaps nothing.
function waitLines(context, what, duration, room) {
  const fits = (text) => context.measureText(text).width <= room;
  if (fits(`${what} · ${duration}`)) return [`${what} · ${duration}`];
  if (!fits(duration)) return [];
  const lines = [];
  for (const word of what.split(" ")) {
    if (!fits(word)) return [duration];
    if (lines.length && fits(`${lines.at(-1)} ${word}`)) lines.push(`${lines.pop()} ${word}`);
    else lines.push(word);
  }
  return lines.length < WAIT_LINES_MAX ? [...lines, duration] : [duration];
}
