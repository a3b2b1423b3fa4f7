// What a narrow screen spoils, as sentences: text beyond the screen, text that is cut, what scrolls
// without a sign, words that are broken, and cells that cover each other.
(limits) => {
  const found = new Set();
  const width = document.documentElement.clientWidth;
  const named = (one) => `${one.localName}${one.id ? `#${one.id}` : ""}${one.className && one.className.baseVal === undefined ? `.${[...one.classList].join(".")}` : ""}`;
  const placed = (one) => { const at = one.closest("section, nav, [id]"); return `${at ? named(at) : "page"} > ${named(one)}`; };
  const say = (what, one, text) => found.add(`${what}: ${placed(one)}${text ? `: ${text.trim().slice(0, 60)}` : ""}`);
  const isHidden = (one) => {
    if (!one.checkVisibility({ visibilityProperty: true, opacityProperty: true })) return true;
    if (getComputedStyle(one).color.endsWith(", 0)")) return true; // For titles only.
    for (let at = one; at; at = at.parentElement) {
      const style = getComputedStyle(at);
      if (style.clipPath !== "none" || at.matches(".skip, #tooltip, script, style, svg, option, dialog")) return true;
    }
    return false;
  };
  const scrolls = (style) => ["auto", "scroll"].includes(style.overflowX);
  const hides = (style) => ["hidden", "clip"].includes(style.overflowX);
  const hasSign = (style) => style.backgroundAttachment.includes("local") && style.backgroundImage.includes("gradient");
  // The part of a box that somebody sees, or null; says what is cut on the way.
  const seen = (box, one, text) => {
    let { left, right } = box;
    for (let at = one; at && at !== document.documentElement; at = at.parentElement) {
      const style = getComputedStyle(at);
      if (!scrolls(style) && !hides(style)) continue;
      const frame = at.getBoundingClientRect();
      if (right <= frame.right + limits.slack && left >= frame.left - limits.slack) continue;
      if (hides(style) && style.textOverflow !== "ellipsis") say("cut", at, text);
      left = Math.max(left, frame.left);
      right = Math.min(right, frame.right);
      if (right <= left) return null;
    }
    if (right > width + limits.slack || left < -limits.slack) say("beyond the screen", one, text);
    return { left, right, top: box.top, bottom: box.bottom };
  };

  if (document.documentElement.scrollWidth > width + limits.slack) found.add(`the page is ${document.documentElement.scrollWidth} px wide`);
  for (const one of document.querySelectorAll("body *")) {
    const style = getComputedStyle(one);
    if (scrolls(style) && one.scrollWidth > one.clientWidth + limits.slack && !isHidden(one) && !hasSign(style)) say("scrolls without a sign", one);
  }

  const texts = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode, parent = node.parentElement;
    if (!node.data.trim() || isHidden(parent)) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    const boxes = [...range.getClientRects()].filter((box) => box.width > 1).map((box) => seen(box, parent, node.data)).filter(Boolean);
    texts.push({ node, boxes });
    if (boxes.length < 2) continue;
    for (const { 0: word, index } of node.data.matchAll(/[\p{L}\p{N}_]+|--[\w-]+/gu)) {
      if (word.length > limits.word || word.length < 2) continue;
      range.setStart(node, index);
      range.setEnd(node, index + word.length);
      const lines = new Set([...range.getClientRects()].filter((box) => box.width > 1).map((box) => Math.round(box.top)));
      if (lines.size > 1) say("broken word", parent, word);
    }
  }

  const covers = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > limits.overlap && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > limits.overlap;
  const boxesOf = (cell) => texts.filter(({ node }) => cell.contains(node)).flatMap(({ boxes }) => boxes);
  for (const row of document.querySelectorAll("tr, .fault-line > summary, .fault-head, dl > div, dl.tidy, .log-lines li, .facts")) {
    const cells = [...row.children].map((cell) => [cell, boxesOf(cell)]);
    for (const [i, [cell, boxes]] of cells.entries()) {
      for (const [, others] of cells.slice(i + 1)) {
        if (boxes.some((a) => others.some((b) => covers(a, b)))) say("covers its neighbour", cell, cell.textContent);
      }
    }
  }
  return [...found];
}
