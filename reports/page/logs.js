// The logs of all nodes as one list by time: filtered, linked to the timeline in both directions.

const LOG_ROWS_MAX = 200;
const LOG_REVEAL_US = 1_000_000;
const LEVEL_MARKS = { error: "✕", warning: "▲", info: "·", debug: "‥", none: " " };

const logs = { columns: null, matching: [], from: 0, chosen: -1, passes: () => true, range: null };

async function buildLogs(run) {
  const { raw } = await unpack(document.getElementById("log-data"));
  const list = document.getElementById("log-lines");
  if (!list || !raw.columns.text.length) return;
  Object.assign(logs, raw, { columns: { ...raw.columns, time: sums(raw.columns.time) } });
  buildLogFilters();
  list.addEventListener("click", (event) => { if (!getSelection().toString()) followLine(event.target.closest("li")); });
  list.addEventListener("keydown", (event) => { if (event.key === "Enter") followLine(event.target.closest("li")); });
  for (const button of document.querySelectorAll("[data-log]")) button.addEventListener("click", () => turnLogs(button.dataset.log));
  document.getElementById("log-table").hidden = true;
  document.getElementById("log-view").hidden = false;
  drawings.push(() => { if (document.getElementById("log-range").checked && isOtherRange()) filterLogs(); });
  filterLogs();
  // The list opens where the first crash, anomaly or fault is.
  const [moment] = run.strips.moments, at = logs.matching.findIndex((i) => logs.columns.time[i] >= moment);
  if (at > 0) placeLine(at);
}

function sums(differences) {
  let sum = 0;
  return Float64Array.from(differences, (each) => (sum += each));
}

function buildLogFilters() {
  const group = document.getElementById("log-filters");
  const nodes = [...new Set(logs.logs.map((log) => log.node))].sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
  const nodeOf = logs.columns.log.map((log) => nodes.indexOf(logs.logs[log].node));
  const used = new Set(logs.columns.level);
  const isNode = logPicks(group, "node", nodes);
  const isLevel = logPicks(group, "level", logs.levels, (level) => used.has(level));
  const words = element("input", { type: "search", placeholder: "words, or /expression/", "aria-label": "Words in the line", id: "log-text" });
  const range = element("input", { type: "checkbox", id: "log-range" });
  addField(group, "contains", words);
  group.append(element("label", {}, range, " only what the timeline shows"));
  const problem = element("span", { class: "note warn", id: "log-problem", role: "status" });
  group.append(problem);
  logs.passes = (i, test) => isNode(nodeOf[i]) && isLevel(logs.columns.level[i]) && test(logs.columns.text[i]);
  group.addEventListener("input", () => filterLogs());
}

function logPicks(group, name, values, isUsed = () => true) {
  const boxes = values.map((value) => element("input", { type: "checkbox", checked: true, "data-log-filter": name, value }));
  const shown = values.map((value, i) => i).filter((i) => isUsed(i));
  if (shown.length > 1) addField(group, name, ...shown.map((i) => element("label", { class: "pick" }, boxes[i], values[i])));
  return (i) => boxes[i].checked;
}

// Words in any case; between slashes an expression.
function logTest() {
  const text = document.getElementById("log-text").value, problem = document.getElementById("log-problem");
  problem.textContent = "";
  const expression = /^\/(.+)\/$/.exec(text);
  if (!expression) {
    const words = text.toLowerCase();
    return (line) => !words || line.toLowerCase().includes(words);
  }
  try {
    const pattern = new RegExp(expression[1], "i");
    return (line) => pattern.test(line);
  } catch (error) {
    problem.textContent = `No expression: ${error.message}`;
    return () => true;
  }
}

function isOtherRange() {
  return !logs.range || logs.range[0] !== view.start || logs.range[1] !== view.end;
}

function filterLogs() {
  const test = logTest(), isRanged = document.getElementById("log-range").checked;
  const first = logs.matching[logs.from], { time } = logs.columns;
  logs.range = isRanged ? [view.start, view.end] : null;
  logs.matching = [];
  for (let i = 0; i < time.length; i++) {
    if (isRanged && (time[i] < view.start || time[i] > view.end)) continue;
    if (logs.passes(i, test)) logs.matching.push(i);
  }
  // The list stays about where it was.
  logs.from = first === undefined ? 0 : Math.max(0, logs.matching.findIndex((i) => i >= first));
  showLogs();
}

function turnLogs(where) {
  if (where === "grave") return nextGrave();
  const last = Math.max(0, logs.matching.length - LOG_ROWS_MAX);
  const places = { first: 0, last, earlier: logs.from - LOG_ROWS_MAX, later: logs.from + LOG_ROWS_MAX };
  logs.from = Math.min(last, Math.max(0, places[where]));
  showLogs();
  document.getElementById("log-lines").scrollTop = 0;
  return undefined;
}

function showLogs() {
  logs.from = Math.min(logs.from, Math.max(0, logs.matching.length - LOG_ROWS_MAX));
  const shown = logs.matching.slice(logs.from, logs.from + LOG_ROWS_MAX);
  document.getElementById("log-lines").replaceChildren(...shown.map(logRow));
  listCount(shown);
}

function listCount(shown) {
  const all = formatCount(logs.columns.time.length, "line"), many = logs.matching.length.toLocaleString("en");
  const part = shown.length < logs.matching.length ? `, ${(logs.from + 1).toLocaleString("en")} to ${(logs.from + shown.length).toLocaleString("en")} here` : "";
  document.getElementById("log-count").textContent = logs.matching.length === logs.columns.time.length ? `${all}${part}` : `${many} of ${all} match${part}`;
  document.querySelector("[data-log=grave]").disabled = !logs.matching.some(isGrave);
  for (const button of document.querySelectorAll("[data-log]:not([data-log=grave])")) {
    const isBack = ["first", "earlier"].includes(button.dataset.log);
    button.disabled = isBack ? logs.from === 0 : logs.from + shown.length >= logs.matching.length;
  }
}

function logRow(i) {
  const { columns } = logs, level = logs.levels[columns.level[i]], log = logs.logs[columns.log[i]];
  const time = `${columns.guess[i] ? "≈ " : ""}${(columns.time[i] / 1e6).toFixed(3)} s`;
  return element("li", { tabindex: "0", "data-line": i, class: `level-${level}`, "aria-current": i === logs.chosen ? "true" : undefined, title: `${log.path}:${columns.number[i]}` },
    element("span", { class: "log-time" }, time), element("b", {}, log.node),
    element("span", { class: "log-level", title: level }, LEVEL_MARKS[level]), element("span", { class: "log-text" }, columns.text[i]));
}

// The timeline shows the second around a line, with its cursor there.
function followLine(row) {
  if (!row) return;
  const i = Number(row.dataset.line), time = Math.max(0, Math.min(view.whole, logs.columns.time[i]));
  logs.chosen = i;
  for (const one of document.querySelectorAll("#log-lines [aria-current]")) one.removeAttribute("aria-current");
  row.setAttribute("aria-current", "true");
  showRange(time - LOG_REVEAL_US / 2, time + LOG_REVEAL_US / 2);
  drawNow();
  const canvas = document.getElementById("operations"), box = plotOf(canvas);
  followCursor(canvas, box.x + xOf(box, time));
  document.getElementById("timeline").scrollIntoView();
}

// Brings the first line from a time on to the top of the list, if the filters let any pass.
function showLogsAt(time) {
  if (!logs.matching.length) return;
  const found = logs.matching.findIndex((i) => logs.columns.time[i] >= time);
  placeLine(found < 0 ? logs.matching.length - 1 : found);
  document.getElementById("logs").scrollIntoView();
}

// Chooses a line by its place among those that match, and scrolls the list there, not the page.
function placeLine(at) {
  logs.chosen = logs.matching[at];
  logs.from = Math.max(0, at - LOG_ROWS_MAX / 4);
  showLogs();
  const list = document.getElementById("log-lines"), row = list.querySelector("[aria-current]");
  list.scrollTop = row.offsetTop - list.offsetTop - 40;
}

function isGrave(i) {
  return ["error", "warning"].includes(logs.levels[logs.columns.level[i]]);
}

// From the chosen line on, and from the first again.
function nextGrave() {
  const after = logs.matching.findIndex((i) => i > logs.chosen && isGrave(i));
  const at = after < 0 ? logs.matching.findIndex(isGrave) : after;
  if (at >= 0) placeLine(at);
}
