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
  group.addEventListener("input", changed);
  const none = (value) => (value === null || value === "" ? "none" : String(value));
  const tests = [
    picks(group, "outcome", OUTCOMES, run.type),
    picks(group, "f", run.tables.f, run.f),
    picks(group, "node", run.tables.node.map(none), run.node),
    picks(group, "key", run.tables.key.map(none), run.key),
    search(group, run),
    onlyGuilty(group, run),
  ];
  // What the fields say is looked up once, and not for each operation.
  return () => {
    const asked = tests.map((test) => test()).filter(Boolean);
    return (i) => asked.every((passes) => passes(i));
  };
}

function addField(group, name, ...children) {
  group.append(element("fieldset", {}, element("legend", {}, name), ...children));
}

function picks(group, name, values, column) {
  if (values.length < 2) return () => null;
  if (values.length > PICKS_MAX) return choice(group, name, values, column);
  const boxes = values.map((value) => element("input", { type: "checkbox", checked: true, "data-filter": name, value }));
  const order = values.map((_, i) => i);
  if (name !== "outcome") order.sort((a, b) => values[a].localeCompare(values[b], "en", { numeric: true }));
  addField(group, name, ...order.map((i) => element("label", { class: "pick" }, boxes[i], values[i])));
  return () => {
    const isChecked = boxes.map((box) => box.checked);
    return isChecked.every(Boolean) ? null : (i) => isChecked[column[i]];
  };
}

function choice(group, name, values, column) {
  const list = element("datalist", { id: `values-${name}` }, ...values.slice(0, 1000).map((value) => element("option", { value })));
  const field = element("input", { list: `values-${name}`, placeholder: "all", "data-filter": name, "aria-label": name });
  addField(group, name, field, list);
  return () => {
    const isAsked = values.map((value) => value === field.value);
    return field.value ? (i) => isAsked[column[i]] : null;
  };
}

function search(group, run) {
  const field = element("input", { type: "search", placeholder: "write 41", "data-filter": "text", "aria-label": "Words in the operation" });
  addField(group, "contains", field);
  return () => {
    const words = field.value;
    return words ? (i) => labelOf(run, i).includes(words) : null;
  };
}

function onlyGuilty(group, run) {
  if (!run.guilty.length) return () => null;
  const box = element("input", { type: "checkbox", "data-filter": "guilty" });
  group.append(element("label", {}, box, " only what anomalies name"));
  return () => (box.checked ? (i) => run.isGuilty[i] === 1 : null);
}
