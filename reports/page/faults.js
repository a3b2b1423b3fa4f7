// The lines of faults: which of them are shown, in which order, and the way to and from the timeline.

const FAULT_ORDERS = {
  "missing evidence first": (one) => [Number(one.dataset.rank), Number(one.dataset.time)],
  "time": (one) => [Number(one.dataset.time)],
  "fault": (one) => [one.dataset.fault, Number(one.dataset.time)],
  "longest in force": (one) => [-Number(one.dataset.lasted || -1), Number(one.dataset.time)],
  "slowest to recover": (one) => [-Number(one.dataset.recovered || -1), Number(one.dataset.time)],
  "fewest ok during": (one) => [one.dataset.share === "" ? 2 : Number(one.dataset.share), Number(one.dataset.time)],
};
const FAULT_STATES = { "every state": () => true, "missing evidence": (one) => one.dataset.rank === "0" };

function compareParts(a, b) {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return a[i] < b[i] ? -1 : 1;
  return 0;
}

function buildFaults() {
  const list = document.querySelector(".fault-list[data-drawn-max]");
  if (!list) return;
  const lines = [...list.querySelectorAll(":scope > .fault-line")];
  const most = Number(list.dataset.drawnMax) / (matchMedia("(max-width: 900px)").matches ? 2 : 1);
  const all = document.getElementById("faults-all");
  const count = element("span", { class: "note", "aria-live": "polite" });
  const nodesOf = new Map(lines.map((one) => [one, JSON.parse(one.dataset.nodes)]));
  const names = (values) => [...new Set(values)].sort();
  const states = { ...FAULT_STATES };
  for (const state of names(lines.map((one) => one.dataset.state))) states[state] = (one) => one.dataset.state === state;
  const choose = {
    fault: pickOne("fault", ["every fault", ...names(lines.map((one) => one.dataset.fault))]),
    node: pickOne("node", ["every node", ...names([...nodesOf.values()].flat())]),
    state: pickOne("state", Object.keys(states)),
    order: pickOne("order", Object.keys(FAULT_ORDERS)),
  };
  let isWhole = false;
  const passes = (one) =>
    (!choose.fault.selectedIndex || one.dataset.fault === choose.fault.value) &&
    (!choose.node.selectedIndex || nodesOf.get(one).includes(choose.node.value)) &&
    states[choose.state.value](one);
  const apply = () => {
    const key = FAULT_ORDERS[choose.order.value];
    const keys = new Map(lines.map((one) => [one, key(one)]));
    const sorted = [...lines].sort((a, b) => compareParts(keys.get(a), keys.get(b)));
    const matching = sorted.filter(passes);
    const shown = new Set(isWhole ? matching : matching.slice(0, most));
    const kept = new Set(matching);
    for (const one of sorted) {
      one.hidden = !kept.has(one);
      one.classList.toggle("beyond", kept.has(one) && !shown.has(one));
    }
    list.append(...sorted);
    count.textContent = matching.length === lines.length ? formatCount(lines.length, "line") : `${matching.length} of ${formatCount(lines.length, "line")} match`;
    all.hidden = shown.size === matching.length;
    all.textContent = `Show ${matching.length - shown.size} more`;
  };
  for (const one of Object.values(choose)) one.addEventListener("change", apply);
  for (const link of document.querySelectorAll("a[data-choose]")) {
    link.addEventListener("click", () => { choose.fault.value = link.dataset.choose; apply(); });
  }
  all.addEventListener("click", () => {
    const next = list.querySelector(".fault-line.beyond > summary");
    isWhole = true;
    apply();
    if (next) next.focus();
  });
  document.getElementById("fault-filters").append(...Object.entries(choose).map(([name, one]) => element("label", {}, name, one)), count);
  const open = () => {
    const line = /^#fault-\d+$/.test(location.hash) && document.getElementById(location.hash.slice(1));
    if (!line) return;
    if (line.hidden || line.classList.contains("beyond")) {
      for (const name of ["fault", "node", "state"]) choose[name].selectedIndex = 0;
      isWhole = true;
      apply();
    }
    for (let one = line; one; one = one.parentElement.closest("details")) one.open = true;
    line.scrollIntoView();
  };
  addEventListener("hashchange", open);
  apply();
  open();
}

function pickOne(name, choices) {
  return element("select", { name: `fault-${name}` }, ...choices.map((one) => element("option", {}, one)));
}

// The link from the events of a fault to its line, if one of them has a line.
function linksToFault(events) {
  const line = events.map((event) => document.getElementById(`fault-${event.index}`)).find(Boolean);
  return line ? [element("a", { href: `#${line.id}` }, "Numbers and evidence")] : [];
}
