// Partial linearizations, drawn into the window of an anomaly: a numbered point on each bar.

const SVG = "http://www.w3.org/2000/svg";
const POINT_PX = 8;

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
  plot.querySelector(".drawn")?.remove();
  for (const bar of plot.querySelectorAll(".op-bar")) bar.classList.remove("refused");
  if (!order) return;
  const whole = plot.getBoundingClientRect();
  const barOf = (index) => plot.querySelector(`.op-bar[data-index="${index}"]`);
  const points = spread(order.points.map(([index, number, left]) => {
    const bar = barOf(index), track = bar.parentElement.getBoundingClientRect(), box = bar.getBoundingClientRect();
    return { number, x: track.left - whole.left + (track.width * left) / 100, y: box.top - whole.top + box.height / 2, end: box.right - whole.left };
  }));
  const drawn = svg("svg", { class: "drawn", "aria-hidden": "true", width: whole.width, height: whole.height });
  drawn.append(svg("polyline", { points: points.map(({ x, y }) => `${x},${y}`).join(" ") }));
  for (const { x, y, number, end } of points) {
    // What is unknown may take effect long after its bar.
    if (x > end + POINT_PX) drawn.append(svg("line", { class: "later", x1: end, y1: y, x2: x, y2: y }));
    drawn.append(svg("circle", { cx: x, cy: y, r: POINT_PX }), svg("text", { x, y: y + 3.5 }, String(number)));
  }
  const blocked = order.blocked && barOf(order.blocked);
  if (blocked) drawRefused(drawn, blocked, whole, points.at(-1), order);
  plot.append(drawn);
}

// A cross on the bar, a dashed way to it from where the order ends, and the state that refuses it.
function drawRefused(drawn, bar, whole, last, order) {
  bar.classList.add("refused");
  const box = bar.getBoundingClientRect();
  const x = box.right - whole.left - Math.min(box.width / 2, 14), y = box.top - whole.top + box.height / 2;
  if (last) drawn.append(svg("line", { class: "way", x1: last.x, y1: last.y, x2: x, y2: y }));
  drawn.append(svg("circle", { class: "no", cx: x, cy: y, r: POINT_PX }), svg("path", { class: "cross", d: `M${x - 3.5} ${y - 3.5}l7 7m0-7l-7 7` }));
  if (!order.refused.includes(order.blocked)) return;
  const text = svg("text", { class: "why" }, `refused: it holds ${order.holds}`);
  const isLeft = x > whole.width / 2, isBelow = y < 40;
  text.setAttribute("x", x + (isLeft ? 10 : -10));
  text.setAttribute("y", y + (isBelow ? 30 : -21));
  text.setAttribute("text-anchor", isLeft ? "end" : "start");
  drawn.append(text);
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
    const labelOfBar = (index) => `#${index} ${barOf(index).querySelector("span").textContent}`;
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
