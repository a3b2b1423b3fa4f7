// Pointer, wheel and keys on the drawings that share the axis of time.

const WHEEL_STEP = 1.0016, KEY_ZOOM = 0.6, KEY_PAN = 0.2;
const CLICK_PX = 4;

// Drag moves, two fingers zoom, a click selects what stands there, a double-click shows all.
function listenPointers(run, canvas, hit, select, range = view) {
  const held = new Map();
  let moved = 0;
  canvas.addEventListener("pointerdown", (event) => {
    held.set(event.pointerId, event);
    moved = 0;
    canvas.setPointerCapture(event.pointerId);
    canvas.closest("[tabindex]")?.focus({ preventScroll: true });
  });
  canvas.addEventListener("pointermove", (event) => {
    const before = held.get(event.pointerId);
    if (range === view) followCursor(canvas, event.clientX);
    if (!before) return hover(run, canvas, hit, event);
    moved += Math.abs(event.clientX - before.clientX);
    const others = [...held.values()].filter((one) => one.pointerId !== event.pointerId);
    if (others.length) pinch(canvas, before, event, others[0], range);
    else if (moved > CLICK_PX) drag(canvas, before, event, range);
    held.set(event.pointerId, event);
  });
  const release = (event) => {
    const wasHeld = held.delete(event.pointerId);
    canvas.classList.remove("dragging");
    if (event.type !== "pointerup" || !wasHeld || moved > CLICK_PX) return;
    const found = hit(run, canvas, event.clientX, event.clientY);
    select(found);
    if (event.pointerType === "touch") tap(run, found, event);
  };
  canvas.addEventListener("pointerup", release);
  canvas.addEventListener("pointercancel", release);
  canvas.addEventListener("pointerleave", (event) => {
    // A finger that is lifted leaves too: what it showed stays until the next tap.
    if (event.pointerType !== "touch") hideTooltip();
    followCursor(canvas, null);
    hoverBand(null);
  });
  canvas.addEventListener("dblclick", () => showHome(range));
  canvas.addEventListener("wheel", (event) => wheel(canvas, event, range), { passive: false });
}

function hover(run, canvas, hit, event) {
  const found = hit(run, canvas, event.clientX, event.clientY);
  canvas.style.cursor = found ? "pointer" : "";
  hoverBand(found?.band ?? null);
  if (found) showTooltip(run, found, event.clientX, event.clientY);
  else hideTooltip();
}

// A finger cannot hover: a tap shows the words of what has no panel of its own.
function tap(run, found, event) {
  const hasPanel = found?.operation !== undefined || found?.band || found?.family;
  if (found && !hasPanel) showTooltip(run, found, event.clientX, event.clientY);
}

// The fault that is pointed at shades the lanes.
function hoverBand(band) {
  if (view.hoveredBand === band) return;
  view.hoveredBand = band;
  redraw();
}

function drag(canvas, before, event, range) {
  canvas.classList.add("dragging");
  hideTooltip();
  const shift = timeAt(canvas, before.clientX, range) - timeAt(canvas, event.clientX, range);
  showRange(range.start + shift, range.end + shift, range);
}

function pinch(canvas, before, now, other, range) {
  const apart = (event) => Math.max(10, Math.abs(event.clientX - other.clientX));
  zoom(apart(before) / apart(now), timeAt(canvas, (now.clientX + other.clientX) / 2, range), range);
}

// The wheel belongs to the page until the timeline is focused or Ctrl is held; a pinch on a
// touchpad comes as a wheel with Ctrl.
function wheel(canvas, event, range) {
  const isSideways = Math.abs(event.deltaX) > Math.abs(event.deltaY) || event.shiftKey;
  const mayZoom = event.ctrlKey || event.metaKey || canvas.closest("[tabindex]") === document.activeElement;
  if (isSideways) {
    event.preventDefault();
    pan((event.deltaX || event.deltaY) / canvas.clientWidth, range);
  } else if (mayZoom) {
    event.preventDefault();
    const lines = event.deltaMode === 1 ? 30 : 1;
    zoom(WHEEL_STEP ** (event.deltaY * lines * (event.ctrlKey ? 3 : 1)), timeAt(canvas, event.clientX, range), range);
  } else showHint(canvas);
}

let hintTimer = 0;
function showHint(canvas) {
  const hint = canvas.parentElement.querySelector(".hint") || document.getElementById("hint");
  hint.hidden = false;
  clearTimeout(hintTimer);
  hintTimer = setTimeout(() => { hint.hidden = true; }, 1200);
}

// One cursor on all drawings that share the axis.
function followCursor(canvas, clientX) {
  const time = clientX === null ? NaN : timeAt(canvas, clientX);
  const isInside = time >= view.start && time <= view.end;
  const left = isInside ? clientX - canvas.getBoundingClientRect().left : 0;
  for (const cursor of document.querySelectorAll(".cursor")) {
    cursor.hidden = !isInside;
    cursor.style.transform = `translateX(${left}px)`;
    cursor.style.height = `${cursor.parentElement.scrollHeight}px`;
  }
  document.getElementById("cursor-time").textContent = isInside ? `at ${formatTime(time, view.end - view.start)}` : "";
}

function listenKeys(run, figure, select) {
  const middle = () => (view.focused >= 0 ? run.start[view.focused] : (view.start + view.end) / 2);
  const actions = {
    "+": () => zoom(KEY_ZOOM, middle()), "=": () => zoom(KEY_ZOOM, middle()),
    "-": () => zoom(1 / KEY_ZOOM, middle()), "_": () => zoom(1 / KEY_ZOOM, middle()),
    ArrowLeft: () => pan(-KEY_PAN), ArrowRight: () => pan(KEY_PAN),
    ArrowUp: () => moveLane(run, -1), ArrowDown: () => moveLane(run, 1),
    0: () => showHome(), Home: () => showHome(),
    n: () => moveFocus(run, 1), p: () => moveFocus(run, -1),
    f: () => toggleFamilies(run),
    Enter: () => select(view.focused >= 0 ? { operation: view.focused } : null),
  };
  figure.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target !== figure) return;
    const action = actions[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });
  figure.addEventListener("blur", hideTooltip);
}

// Keys that work on the whole page: Escape closes what is open, `?` shows the keys.
function listenPage(select) {
  const keys = document.getElementById("keys");
  document.addEventListener("pointerdown", (event) => {
    if (event.pointerType === "touch") hideTooltip();
  }, { capture: true });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") {
      // The browser closes the list of keys itself.
      if (keys.matches(":popover-open")) return;
      view.focused = -1;
      hideTooltip();
      select(null);
    } else if (event.key === "?" && !event.target.closest("input, select, textarea")) {
      event.preventDefault();
      keys.togglePopover();
    }
  });
}

// The next operation in order of invocation, starting with the first one in sight.
function moveFocus(run, direction) {
  let position = view.focused >= 0
    ? lowerBound(view.shown, run.index, run.index[view.focused]) + direction
    : lowerBound(view.shown, run.start, view.start);
  // Lanes of keys may leave operations out.
  while (view.rowOf[view.shown[position]] < 0) position += direction;
  focusOperation(run, view.shown[position]);
}

// The operation of a neighbouring lane that is nearest in time.
function moveLane(run, direction) {
  if (view.focused < 0) return moveFocus(run, 1);
  const row = view.rows[view.rowOf[view.focused] + direction];
  if (!row) return undefined;
  const at = Math.min(row.list.length - 1, lowerBound(row.list, run.start, run.start[view.focused]));
  return focusOperation(run, row.list[at]);
}

function focusOperation(run, i) {
  if (i === undefined) return;
  view.focused = i;
  if (run.start[i] < view.start || run.start[i] > view.end) {
    const span = view.end - view.start;
    showRange(run.start[i] - span / 2, run.start[i] + span / 2);
  }
  redraw();
  const facts = operationFacts(run, i).map(([name, value]) => `${name} ${value}`).join(", ");
  document.getElementById("spoken").textContent = `${labelOf(run, i)}; ${facts}`;
  const box = plotOf(document.getElementById("operations")), layout = timelineLayout();
  const y = box.y + layout.top + (view.rowOf[i] + 1) * layout.laneHeight;
  showTooltip(run, { operation: i }, box.x + Math.max(box.left, xOf(box, run.start[i])), y);
}
