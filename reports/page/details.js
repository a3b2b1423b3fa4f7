// One operation in words: in the tooltip, in the panel below the timeline, and spoken.

function operationFacts(run, i) {
  const completed = run.done[i] ? formatDuration(run.end[i] - run.start[i]) : "never completed";
  return [
    ["outcome", OUTCOMES[run.type[i]]],
    ["f", run.tables.f[run.f[i]]],
    ["value", [askedOf(run, i), answeredOf(run, i)].filter(Boolean).join(" ")],
    ["key", run.tables.key[run.key[i]]],
    ["error", run.tables.error[run.error[i]]],
    ["process", run.process[i]],
    ["node", run.tables.node[run.node[i]]],
    ["invoked", formatTime(run.start[i], 1)],
    ["completed", run.done[i] ? formatTime(run.end[i], 1) : null],
    ["latency", completed],
    ["events", run.done[i] ? `#${run.index[i]}, #${run.index[i] + run.done[i]}` : `#${run.index[i]}`],
  ].filter(([, value]) => value !== null && value !== undefined && value !== "");
}

function bandFacts(run, band) {
  const isMark = band.time !== undefined, isFault = band.healed !== undefined;
  return [
    ["family", run.families[band.fault]],
    ["targets", band.targets.join(" ") || (isFault || isMark ? "not named" : null)],
    ["injection asked at", isFault && band.held > band.start ? formatTime(band.start, 1000) : null],
    [isFault ? "in force from" : "from", formatTime(isMark ? band.time : band.held ?? band.start, 1000)],
    ["to", isMark ? null : band.healed === false ? "the end of the run, never healed" : formatTime(band.end, 1000)],
    ["lasted", isMark ? null : formatDuration(band.end - (band.held ?? band.start))],
    ["came", isFault || isMark ? null : band.came === true ? "yes" : band.came === false ? "no" : "no evidence"],
    ["events", band.events.map((event) => `#${event.index}`).join(", ")],
  ].filter(([, value]) => value !== null && value !== undefined);
}

function downFacts(down) {
  return [
    ["asked for", down.asked ? "by a fault" : "by nobody"],
    ["explained by", down.why],
    ["from", formatTime(down.start, 1000)],
    ["to", !down.back ? "the end of the run" : down.end > down.start ? `${formatTime(down.end, 1000)}, when it was started again` : "nobody knows when it was started again"],
    ["lasted", down.end > down.start ? formatDuration(down.end - down.start) : ""],
  ].filter(([, value]) => value);
}

function waitFacts(wait) {
  return [
    ["", "no client asked anything meanwhile"],
    ["from", formatTime(wait.start, 1000)],
    ["to", formatTime(wait.end, 1000)],
    ["lasted", formatDuration(wait.end - wait.start)],
    ["did not come", wait.error],
  ].filter(([, value]) => value);
}

function factsOf(run, hit) {
  if (hit.facts) return hit.facts;
  if (hit.operation !== undefined) return [labelOf(run, hit.operation), operationFacts(run, hit.operation)];
  if (hit.band) return [`${hit.band.fault}: ${hit.band.f}`, bandFacts(run, hit.band)];
  if (hit.down) return [hit.down.what, downFacts(hit.down)];
  if (hit.wait) return [hit.wait.what, waitFacts(hit.wait)];
  if (hit.family) return [hit.family.name, [["faults", hit.family.title], ["", hit.family.isOpen ? "a click folds them" : "a click shows each in a row of its own"]]];
  const { event } = hit;
  return [`${event.node}: ${event.what}`, [["time", formatTime(event.time, 1000)]]];
}

function showTooltip(run, hit, x, y) {
  const tooltip = document.getElementById("tooltip");
  const [title, facts] = factsOf(run, hit);
  const rows = facts.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, String(value))]);
  tooltip.replaceChildren(element("b", {}, title), element("dl", {}, ...rows));
  tooltip.hidden = false;
  const rect = tooltip.getBoundingClientRect();
  const left = x + 16 + rect.width > innerWidth ? x - 16 - rect.width : x + 16;
  const top = y + 16 + rect.height > innerHeight ? y - 12 - rect.height : y + 16;
  tooltip.style.left = `${Math.max(6, left)}px`;
  tooltip.style.top = `${Math.max(6, top)}px`;
}

function hideTooltip() {
  document.getElementById("tooltip").hidden = true;
}

// The two events of an operation as they stand in the history.
function eventsOf(run, i) {
  const shared = { process: run.process[i], f: run.tables.f[run.f[i]], key: run.tables.key[run.key[i]], node: run.tables.node[run.node[i]] };
  const events = [{ ...shared, index: run.index[i], time: run.start[i], type: "invoke", value: askedOf(run, i) }];
  if (run.done[i]) {
    const answer = answeredOf(run, i).replace(/^→ /, "");
    events.push({
      ...shared, index: run.index[i] + run.done[i], time: run.end[i], type: OUTCOMES[run.type[i]],
      value: answer || askedOf(run, i), error: run.tables.error[run.error[i]],
    });
  }
  return events;
}

function eventTable(events) {
  const names = ["index", "time", "process", "type", "f", "key", "value", "node", "error"];
  const used = names.filter((name) => events.some((event) => event[name] !== undefined && event[name] !== null && event[name] !== ""));
  const cell = (event, name) => (name === "time" ? formatTime(event.time, 1) : name === "index" ? `#${event.index}` : String(event[name] ?? ""));
  return element("table", {},
    element("thead", {}, element("tr", {}, ...used.map((name) => element("th", { scope: "col" }, name)))),
    element("tbody", {}, ...events.map((event) => element("tr", {}, ...used.map((name) => element("td", { "data-name": name }, cell(event, name)))))));
}

function showDetails(title, events, close) {
  const panel = document.getElementById("details");
  const button = element("button", { type: "button" }, "Close");
  button.addEventListener("click", close);
  const link = element("a", { href: `#i${events[0].index}` }, `#i${events[0].index}`);
  const header = element("header", {}, element("b", {}, title), link, ...linksToFault(events), element("span", { class: "spring" }), button);
  panel.replaceChildren(header, element("div", { class: "wide" }, eventTable(events)));
  panel.hidden = false;
}
