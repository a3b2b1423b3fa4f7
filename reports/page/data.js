// The run: columns of operations as typed arrays, everything else as it was embedded.

const OUTCOMES = ["ok", "fail", "info"];
const OK = 0, FAIL = 1, INFO = 2;
// Kinds of words, as drawn.py numbers them; 0 is no words, and 1 a number.
const TEXT = 2, ARROW_NUMBER = 3;
const BASE64_PIECE = 1 << 18;

// The bytes of base64, piece by piece: a function call per character would take seconds.
async function decodeBase64(text) {
  const bytes = new Uint8Array((text.length / 4) * 3);
  let length = 0;
  for (let at = 0; at < text.length; at += BASE64_PIECE) {
    const piece = bytesOf(text.slice(at, at + BASE64_PIECE));
    bytes.set(piece, length);
    length += piece.length;
    await step();
  }
  return bytes.subarray(0, length);
}

function bytesOf(base64) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(base64);
  return Uint8Array.from(atob(base64), (one) => one.charCodeAt(0));
}

// What packing.py has packed: the length of the JSON, the JSON, and the columns by planes of bytes.
async function unpack(element) {
  const packed = await decodeBase64(element.textContent);
  const plain = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const bytes = new Uint8Array(await new Response(plain).arrayBuffer());
  const length = new DataView(bytes.buffer).getUint32(0, true);
  const raw = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length)));
  return { raw, planes: bytes.subarray(4 + length) };
}

const unzigzag = (number) => (number % 2 ? -(number + 1) / 2 : number / 2);

// One column after the other; `Kind` is the array it becomes.
class Planes {
  constructor(bytes, count, columns) {
    Object.assign(this, { bytes, count, widths: new Map(columns), at: 0 });
  }

  has(name) {
    return this.widths.has(name);
  }

  async next(name, Kind) {
    const { bytes, count } = this, column = new Kind(count);
    let factor = 1;
    for (let plane = 0; plane < this.widths.get(name); plane++, factor *= 256) {
      const { at } = this;
      await inPieces(count, (from, to) => {
        for (let i = from; i < to; i++) column[i] += bytes[at + i] * factor;
      });
      this.at += count;
    }
    return column;
  }
}

// Each number was stored as its difference from the one before.
function addUp(column, from = 1, to = column.length) {
  for (let i = Math.max(1, from); i < to; i++) column[i] += column[i - 1];
  return column;
}

async function addUpInPieces(column) {
  await inPieces(column.length, (from, to) => addUp(column, from, to));
  return column;
}

// Each number was stored as its difference from the last one of the same group.
async function addUpBy(column, groups, groupCount) {
  const last = new Float64Array(groupCount);
  await inPieces(column.length, (from, to) => {
    for (let i = from; i < to; i++) column[i] = last[groups[i]] += unzigzag(column[i]);
  });
  return column;
}

// Numbers of what was asked and answered go on from the last one of the same key, or the last text.
async function addUpValues(kinds, asked, answered, keys, keyCount) {
  const last = new Float64Array(keyCount + 1);
  await inPieces(kinds.length, (from, to) => {
    for (let i = from; i < to; i++) {
      const before = kinds[i] >> 2, after = kinds[i] & 3;
      if (before) asked[i] = last[before === TEXT ? keyCount : keys[i]] += unzigzag(asked[i]);
      if (after) answered[i] = last[after === TEXT ? keyCount : keys[i]] += unzigzag(answered[i]);
    }
  });
}

async function buildRun({ raw, planes }) {
  const { count, columns, tables } = raw.operations;
  const from = new Planes(planes, count, columns);
  const index = await addUpInPieces(await from.next("index", Uint32Array)), done = await from.next("done", Uint32Array);
  const start = await addUpInPieces(await from.next("start", Float64Array)), end = await from.next("took", Float64Array);
  await inPieces(count, (first, last) => {
    for (let i = first; i < last; i++) end[i] += start[i];
  });
  const run = {
    ...raw, tables, count, index, done, start, end, end_us: raw.end, laneCount: raw.lanes,
    type: await from.next("type", Uint8Array), f: await from.next("f", Uint16Array), error: await from.next("error", Uint32Array),
    lane: await from.next("lane", Uint16Array),
  };
  for (const name of ["process", "key", "node"]) run[name] = await addUpBy(await from.next(name, Uint32Array), run.lane, raw.lanes);
  run.wordKinds = await from.next("kinds", Uint8Array);
  for (const name of ["asked", "answered"]) run[`${name}Number`] = await from.next(name, Uint32Array);
  await addUpValues(run.wordKinds, run.askedNumber, run.answeredNumber, run.key, tables.key.length);
  if (from.has("weight")) run.weight = await from.next("weight", Uint32Array);
  run.byCompletion = await completionOrder(run);
  run.isGuilty = new Uint8Array(count);
  const guilty = new Set(raw.guilty.map((each) => operationOf(run, each)).filter((i) => i >= 0));
  for (const i of guilty) run.isGuilty[i] = 1;
  run.guiltyOperations = [...guilty].sort((a, b) => a - b);
  run.simulation = raw.simulation && buildSimulation(raw.simulation, { ...raw, end_us: raw.end });
  return run;
}

function completionIndex(run, place) {
  const i = run.byCompletion[place];
  return run.index[i] + run.done[i];
}

// The operation of an event, by its index; -1 for that of a nemesis, or of none.
function operationOf(run, index) {
  const i = firstFrom(run.index, index);
  if (run.index[i] === index) return i;
  const at = run.byCompletion[lowerBoundBy(run.byCompletion.length, (place) => completionIndex(run, place) < index)];
  return at !== undefined && run.index[at] + run.done[at] === index ? at : -1;
}

function valueText(run, kind, number) {
  if (kind === TEXT) return run.tables.text[number];
  return kind ? `${kind === ARROW_NUMBER ? "→ " : ""}${number}` : "";
}

const askedOf = (run, i) => valueText(run, run.wordKinds[i] >> 2, run.askedNumber[i]);
const answeredOf = (run, i) => valueText(run, run.wordKinds[i] & 3, run.answeredNumber[i]);

// `write 41`, `read → 17`: the same words as in the window.
function labelOf(run, i) {
  const text = [run.tables.f[run.f[i]], askedOf(run, i), answeredOf(run, i)].filter(Boolean).join(" ");
  return run.type[i] === OK ? text : `${text} · ${OUTCOMES[run.type[i]]}`;
}

// The first of `count` positions for which something does not hold; it holds for all before it.
function lowerBoundBy(count, holds) {
  let low = 0, high = count;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (holds(middle)) low = middle + 1;
    else high = middle;
  }
  return low;
}

// The first position in a sorted list of operations whose value is not below the limit.
function lowerBound(list, values, limit) {
  let low = 0, high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[list[middle]] < limit) low = middle + 1;
    else high = middle;
  }
  return low;
}
