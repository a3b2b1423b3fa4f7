// Which operations are drawn: by outcome, f, node, key, and words in the value.

const PICKS_MAX = 12;

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === true) made.setAttribute(key, "");
    else if (value !== false && value !== undefined) made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

// Boxes to tick when the values are few, else a field with suggestions.
function buildFilters(run, changed) {
  const group = document.getElementById("filters");
  const tests = [
    picks(group, "outcome", OUTCOMES, run.type, changed),
    picks(group, "f", run.tables.f, run.f, changed),
    picks(group, "node", run.tables.node.map((node) => node || "none"), run.node, changed),
    picks(group, "key", run.tables.key.map((key) => (key === null ? "none" : String(key))), run.key, changed),
    search(group, run, changed),
    onlyGuilty(group, run, changed),
  ];
  return (i) => tests.every((test) => test(i));
}

function picks(group, name, values, column, changed) {
  if (values.length < 2) return () => true;
  if (values.length > PICKS_MAX) return choice(group, name, values, column, changed);
  const boxes = values.map((value) => {
    const box = element("input", { type: "checkbox", checked: true, "data-filter": name, value });
    box.addEventListener("change", changed);
    return box;
  });
  const order = values.map((_, i) => i).sort((a, b) => values[a].localeCompare(values[b], "en", { numeric: true }));
  if (name === "outcome") order.sort((a, b) => a - b);
  const labels = order.map((i) => element("label", { class: "pick" }, boxes[i], values[i]));
  group.append(element("fieldset", {}, element("legend", {}, name), ...labels));
  return (i) => boxes[column[i]].checked;
}

function choice(group, name, values, column, changed) {
  const list = element("datalist", { id: `values-${name}` }, ...values.slice(0, 1000).map((value) => element("option", { value })));
  const field = element("input", { list: `values-${name}`, placeholder: "all", "data-filter": name, "aria-label": name });
  field.addEventListener("input", changed);
  group.append(element("fieldset", {}, element("legend", {}, name), field, list));
  return (i) => !field.value || values[column[i]] === field.value;
}

function search(group, run, changed) {
  const field = element("input", { type: "search", placeholder: "write 41", "data-filter": "text", "aria-label": "Words in the operation" });
  field.addEventListener("input", changed);
  group.append(element("fieldset", {}, element("legend", {}, "contains"), field));
  return (i) => !field.value || labelOf(run, i).includes(field.value);
}

function onlyGuilty(group, run, changed) {
  if (!run.guilty.length) return () => true;
  const box = element("input", { type: "checkbox", "data-filter": "guilty" });
  box.addEventListener("change", changed);
  group.append(element("label", {}, box, " only what anomalies name"));
  return (i) => !box.checked || run.isGuilty[i] === 1;
}
