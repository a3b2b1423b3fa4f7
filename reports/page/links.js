// Links into the timeline: `#i12` is an operation or a fault, `#a1` an anomaly,
// `#key=3` all of a key, `lanes=node` how it is laid out.

const ANOMALY_MARGIN = 0.15;

function readHash() {
  const parts = location.hash.slice(1).split("&");
  const lanes = parts.map((part) => /^lanes=(\w+)$/.exec(part)?.[1]).find(Boolean);
  return { target: parts[0].startsWith("lanes=") ? "" : parts[0], lanes };
}

// The address is changed, and no step is added to the history of the browser.
function writeHash(target) {
  const lanes = view.grouping === "worker" ? "" : `lanes=${view.grouping}`;
  const hash = [target, lanes].filter(Boolean).join("&");
  history.replaceState(null, "", hash ? `#${hash}` : " ");
}

// A link may be typed by hand: what is no code of a character stands for itself.
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

// What the event of an index belongs to.
function findIndex(run, index) {
  const operation = operationOf(run, index);
  if (operation >= 0) return { operation };
  const band = [...run.bands, ...run.marks, ...run.end_of_run].find((one) => one.events.some((event) => event.index === index));
  return band ? { band } : null;
}

// Such links have no element to go to, because a run has too many operations: the timeline stands
// for all of them.
function followHash(run, select, setGrouping) {
  const { target, lanes } = readHash();
  if (lanes && lanes !== view.grouping && usefulGroupings(run).includes(lanes)) setGrouping(lanes);
  unfold(target);
  if (target.startsWith("key=")) return showKey(decoded(target.slice("key=".length)));
  if (/^a\d+$/.test(target)) return showAnomaly(run, document.getElementById(target));
  const index = /^i(\d+)$/.exec(target)?.[1];
  const hit = index && findIndex(run, Number(index));
  if (!hit) return undefined;
  if (hit.operation !== undefined) reveal(run.start[hit.operation], run.end[hit.operation]);
  else reveal(hit.band.start ?? hit.band.time, hit.band.end ?? hit.band.time);
  select(hit);
  return document.getElementById("timeline").scrollIntoView();
}

// The range in which the operations of an anomaly stand; the page itself goes to its words.
function showAnomaly(run, article) {
  const links = [...(article?.querySelectorAll("a[data-index]") ?? [])];
  const guilty = links.filter((link) => link.classList.contains("guilty"));
  const found = (guilty.length ? guilty : links).map((link) => operationOf(run, Number(link.dataset.index))).filter((i) => i >= 0);
  if (!found.length) return;
  let start = Infinity, end = -Infinity;
  for (const i of found) [start, end] = [Math.min(start, run.start[i]), Math.max(end, run.end[i])];
  const margin = Math.max(REVEAL_US / 2, (end - start) * ANOMALY_MARGIN);
  showRange(start - margin, end + margin);
}

function listenLinks(run, follow) {
  for (const link of document.querySelectorAll("a[data-index]")) {
    // A link to where one already is changes no hash.
    link.addEventListener("click", () => { if (location.hash === link.getAttribute("href")) follow(); });
    const show = (x, y) => {
      const hit = findIndex(run, Number(link.dataset.index));
      if (hit) showTooltip(run, hit, x, y);
    };
    link.addEventListener("pointermove", (event) => show(event.clientX, event.clientY));
    link.addEventListener("focus", () => {
      const rect = link.getBoundingClientRect();
      show(rect.left, rect.bottom);
    });
    for (const type of ["pointerleave", "blur"]) link.addEventListener(type, hideTooltip);
  }
}

// A window wider than the screen begins where the operation stands that is refused.
function listenWindows() {
  const observer = new ResizeObserver((entries) => { for (const { target } of entries) centreRefused(target); });
  for (const across of document.querySelectorAll(".across")) observer.observe(across);
}

function centreRefused(across) {
  const bar = across.querySelector(".op-bar.refused") ?? [...across.querySelectorAll(".op-bar.guilty")].at(-1);
  if (!bar || across.scrollWidth <= across.clientWidth) return;
  const own = across.getBoundingClientRect(), its = bar.getBoundingClientRect();
  across.scrollLeft += (its.left + its.right) / 2 - (own.left + own.right) / 2;
}
