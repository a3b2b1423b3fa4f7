// Puts the page together. Without the run's data everything but the drawings still stands.

function recolour() {
  readColours();
  redraw();
}

function listenTheme() {
  document.getElementById("theme").addEventListener("click", () => {
    chooseTheme(nextTheme());
    recolour();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolour);
}

// On paper nothing can be opened, and the ground is white. Of hundreds of faults only those that a
// reader should look at are opened: the others keep their line.
function listenPrint() {
  const root = document.documentElement;
  let theme;
  addEventListener("beforeprint", () => {
    for (const one of document.querySelectorAll('details:not(.fault-line), .fault-line[data-rank="0"]')) one.open = true;
    theme = root.dataset.theme;
    root.dataset.theme = "light";
    readColours();
    drawNow();
  });
  addEventListener("afterprint", () => {
    if (theme) root.dataset.theme = theme;
    else delete root.dataset.theme;
    recolour();
  });
}

function listenCopy() {
  for (const button of document.querySelectorAll("[data-copy]")) {
    button.addEventListener("click", async () => {
      button.textContent = (await copy(button.dataset.copy, button)) ? "Copied" : "Select and copy";
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    });
  }
}

// The clipboard needs a secure page, which a file is not everywhere: else the text is selected.
async function copy(text, button) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const shown = button.previousElementSibling;
    const isFolded = shown.localName === "details";
    if (isFolded) shown.open = true;
    getSelection().selectAllChildren(isFolded ? shown.lastElementChild : shown);
    return document.execCommand("copy");
  }
}

// A step lights up its operations in the window, and an operation its steps.
function listenSteps() {
  for (const article of document.querySelectorAll(".anomaly")) {
    const light = (indices, isLit) => {
      for (const bar of article.querySelectorAll(".op-bar")) bar.classList.toggle("lit", isLit && indices.includes(bar.dataset.index));
    };
    for (const step of article.querySelectorAll("[data-indices]")) {
      const indices = step.dataset.indices.split(" ");
      for (const type of ["pointerenter", "focusin"]) step.addEventListener(type, () => light(indices, true));
      for (const type of ["pointerleave", "focusout"]) step.addEventListener(type, () => light(indices, false));
    }
    for (const bar of article.querySelectorAll(".op-bar")) {
      const steps = [...article.querySelectorAll("[data-indices]")].filter((step) => step.dataset.indices.split(" ").includes(bar.dataset.index));
      const mark = (isLit) => steps.forEach((step) => step.classList.toggle("lit", isLit));
      for (const type of ["pointerenter", "focus"]) bar.addEventListener(type, () => mark(true));
      for (const type of ["pointerleave", "blur"]) bar.addEventListener(type, () => mark(false));
    }
  }
}

function selector(run) {
  const clear = () => {
    view.selected = -1;
    view.selectedBand = null;
    document.getElementById("details").hidden = true;
    if (readHash().target.startsWith("i")) writeHash("");
    redraw();
  };
  return (hit) => {
    if (!hit) return clear();
    if (hit.family) return toggleFamily(run, hit.family.name);
    if (hit.operation !== undefined) {
      view.selected = view.focused = hit.operation;
      view.selectedBand = null;
      showDetails(labelOf(run, hit.operation), eventsOf(run, hit.operation), clear);
      writeHash(`i${run.index[hit.operation]}`);
    } else if (hit.band) {
      view.selected = -1;
      view.selectedBand = hit.band;
      showDetails(`${hit.band.fault}: ${hit.band.f}`, hit.band.events, clear);
      writeHash(`i${hit.band.events[0].index}`);
    }
    return redraw();
  };
}

function showState(run) {
  document.getElementById("range").textContent =
    `${formatTime(view.start, view.end - view.start)} to ${formatTime(view.end, view.end - view.start)} (${formatDuration(view.end - view.start)})`;
  document.getElementById("lanes-note").textContent = lanesNote();
  const all = formatCount(run.count, "operation");
  document.getElementById("matching").textContent = view.shown.length === run.count ? all : `${view.shown.length.toLocaleString("en")} of ${all} match`;
}

async function start() {
  listenTheme();
  listenCopy();
  listenSteps();
  listenOrders();
  buildFaults();
  const run = await buildRun(await unpack(document.getElementById("data")));
  view.whole = view.end = run.end_us;
  prepareRows(run);
  readColours();
  const operations = document.getElementById("operations");
  const latencies = document.getElementById("latencies"), rates = document.getElementById("rates");
  const overview = document.getElementById("overview");
  const select = selector(run);
  const refilter = async () => {
    if (!(await applyFilters(run, passes()))) return;
    view.focused = -1;
    arrangeLanes(run);
  };
  const setGrouping = async (name) => {
    view.grouping = document.getElementById("grouping").value = name;
    if (await applyGrouping(run)) arrangeLanes(run);
  };
  const passes = buildFilters(run, refilter);
  buildGroupings(run, (name) => { setGrouping(name); writeHash(readHash().target); });
  await refilter();
  drawings.push(
    () => drawTimeline(run, operations), () => drawCharts(run, latencies, rates),
    () => drawOverview(run, overview), () => showState(run),
  );
  listenPointers(run, operations, hitTimeline, select);
  listenPointers(run, latencies, hitLatency, select);
  listenPointers(run, rates, () => null, () => {});
  listenOverview(overview);
  if (run.simulation) buildLamports(run, select);
  buildNodes(run);
  await buildLogs(run);
  listenKeys(run, document.getElementById("timeline-chart"), select);
  const follow = () => followHash(run, select, setGrouping);
  listenPage(select);
  listenLinks(run, follow);
  listenWindows();
  const zooms = { in: () => zoom(KEY_ZOOM, (view.start + view.end) / 2), out: () => zoom(1 / KEY_ZOOM, (view.start + view.end) / 2), reset: () => showHome() };
  for (const button of document.querySelectorAll("[data-zoom]")) button.addEventListener("click", zooms[button.dataset.zoom]);
  addEventListener("resize", () => { fitGutter(); redraw(); });
  listenPrint();
  addEventListener("hashchange", follow);
  follow();
  redraw();
  document.documentElement.dataset.ready = "";
}

start().catch((error) => {
  const notice = document.getElementById("failed");
  notice.textContent = `The drawings could not be made: ${error}. Everything else on this page stands.`;
  notice.hidden = false;
});
