// Partial linearizations, drawn into the window of an anomaly: a numbered point on each bar.

const SVG = "http://www.w3.org/2000/svg";
const POINT_PX = 8;
const LABEL_PX = 4;

function svg(name, attributes, ...children) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

function readOrder(list) {
  const numbers = (text) => text.split(" ").filter(Boolean);
  return { list, points: JSON.parse(list.dataset.points), blocked: list.dataset.blocked, refused: numbers(list.dataset.refused), holds: list.dataset.holds };
}

// Of points at one place, as their lanes are, the numbers must not cover each other.
function spread(points) {
  const placed = [];
  for (const point of points) {
    while (placed.some((one) => Math.hypot(one.x - point.x, one.y - point.y) < 2 * POINT_PX)) point.x += 2 * POINT_PX + 1;
    placed.push(point);
  }
  return placed;
}

function drawOrder(plot, order) {
  for (const old of plot.querySelectorAll(".drawn, .op-bar .refusal")) old.remove();
  for (const bar of plot.querySelectorAll(".op-bar")) {
    bar.classList.remove("refused");
    bar.querySelector("span").style.paddingLeft = "";
  }
  if (!order) return;
  const whole = plot.getBoundingClientRect();
  const barOf = (index) => plot.querySelector(`.op-bar[data-index="${index}"]`);
  const points = spread(order.points.map(([index, number, left]) => {
    const bar = barOf(index), track = bar.parentElement.getBoundingClientRect(), box = bar.getBoundingClientRect();
    return { bar, number, x: track.left - whole.left + (track.width * left) / 100, y: box.top - whole.top + box.height / 2, end: box.right - whole.left };
  }));
  // Places are shares of the plot: on paper it has another width, and the page a zoom.
  // Lines run behind bars and labels, and points lie on the bars.
  const [lines, drawn] = ["drawn behind", "drawn"].map((name) => svg("svg", { class: name, "aria-hidden": "true", viewBox: `0 0 ${whole.width} ${whole.height}`, preserveAspectRatio: "none" }));
  lines.append(svg("polyline", { points: points.map(({ x, y }) => `${x},${y}`).join(" ") }));
  for (const { bar, x, y, number, end } of points) {
    // What is unknown may take effect long after its bar.
    if (x > end + POINT_PX) lines.append(svg("line", { class: "later", x1: end, y1: y, x2: x, y2: y }));
    makeRoom(bar, x + whole.left);
    drawn.append(svg("circle", { cx: x, cy: y, r: POINT_PX }), svg("text", { x, y: y + 3.5 }, String(number)));
  }
  const blocked = order.blocked && barOf(order.blocked);
  if (blocked) drawRefused(lines, drawn, blocked, whole, points.at(-1), order);
  plot.querySelector(".backdrop").after(lines);
  plot.append(drawn);
}

// A label inside its bar starts behind a point that would cover it.
function makeRoom(bar, x) {
  const label = bar.querySelector("span"), box = bar.getBoundingClientRect();
  if (!bar.classList.contains("label-inside")) return;
  const text = document.createRange();
  text.selectNodeContents(label);
  const place = text.getBoundingClientRect();
  if (x + POINT_PX < place.left || x - POINT_PX > place.right) return;
  if (x - POINT_PX - box.left > place.width + LABEL_PX) return;
  label.style.paddingLeft = `${x + POINT_PX + LABEL_PX - box.left}px`;
}

// A cross on the bar, a dashed way to it from where the order ends, and the state that refuses it,
// as a part of the label: so it covers nothing.
function drawRefused(lines, drawn, bar, whole, last, order) {
  bar.classList.add("refused");
  const box = bar.getBoundingClientRect();
  const x = box.right - whole.left - Math.min(box.width / 2, 14), y = box.top - whole.top + box.height / 2;
  if (last) lines.append(svg("line", { class: "way", x1: last.x, y1: last.y, x2: x, y2: y }));
  drawn.append(svg("circle", { class: "no", cx: x, cy: y, r: POINT_PX }), svg("path", { class: "cross", d: `M${x - 3.5} ${y - 3.5}l7 7m0-7l-7 7` }));
  if (!order.refused.includes(order.blocked)) return;
  const label = bar.querySelector("span"), why = document.createElement("em");
  why.className = "refusal";
  why.textContent = ` ✗ it holds ${order.holds}`;
  label.append(why);
  const place = label.getBoundingClientRect();
  if (place.right > whole.right || place.left < whole.left) why.remove();
}

function choose(orders, index) {
  const has = (order) => order.points.some(([one]) => String(one) === index);
  const within = orders.find(has);
  return { order: within || orders.find((order) => order.refused.includes(index)) || null, isWithin: Boolean(within) };
}

function listenOrders() {
  for (const article of document.querySelectorAll(".anomaly")) {
    const orders = [...article.querySelectorAll(".order")].map(readOrder);
    if (!orders.length) continue;
    const plot = article.querySelector(".plot"), chosen = article.querySelector(".chosen");
    const main = orders.find((order) => order.list.classList.contains("main")) || orders[0];
    const barOf = (index) => plot.querySelector(`.op-bar[data-index="${index}"]`);
    const labels = new Map([...plot.querySelectorAll(".op-bar")].map((bar) => [bar.dataset.index, bar.querySelector("span").textContent]));
    const labelOfBar = (index) => `#${index} ${labels.get(index)}`;
    let kept = null;
    const show = (index) => {
      const { order, isWithin } = index === null ? { order: main, isWithin: true } : choose(orders, index);
      for (const one of orders) one.list.hidden = one !== order;
      for (const bar of plot.querySelectorAll(".op-bar")) bar.classList.toggle("kept", bar.dataset.index === kept);
      if (index === null) chosen.textContent = main.blocked && barOf(main.blocked) ? `The longest order before ${labelOfBar(main.blocked)} is refused:` : "The longest order:";
      else if (!order) chosen.textContent = `${labelOfBar(index)}: in none of the orders that are shown.`;
      else if (isWithin) chosen.textContent = `The longest order with ${labelOfBar(index)}:`;
      else chosen.textContent = `${labelOfBar(index)} is in no order that fits. The longest after which it is refused:`;
      drawOrder(plot, order);
    };
    for (const bar of plot.querySelectorAll(".op-bar")) {
      const { index } = bar.dataset;
      for (const type of ["pointerenter", "focus"]) bar.addEventListener(type, () => show(index));
      for (const type of ["pointerleave", "blur"]) bar.addEventListener(type, () => show(kept));
      bar.addEventListener("click", (event) => {
        event.preventDefault();
        event.stopImmediatePropagation();
        kept = kept === index ? null : index;
        show(kept ?? index);
      });
    }
    article.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      kept = null;
      show(null);
    });
    new ResizeObserver(() => show(kept)).observe(plot);
    show(null);
  }
}
