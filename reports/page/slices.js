// Long work is done in slices, with room for the page between them. A piece is so small that it is
// short on a busy machine, too: there a slice lasts as long as others keep the processor.

const SLICE_MS = 15, PIECE = 1 << 15;
let sliceEnd = 0;

const turns = new MessageChannel(), waiting = [];
turns.port1.onmessage = () => waiting.shift()();

// Lets the page answer. A message comes at once, where a timer waits for milliseconds.
function breathe() {
  return new Promise((go) => {
    waiting.push(go);
    turns.port2.postMessage(null);
  });
}

function beginSlice() {
  sliceEnd = performance.now() + SLICE_MS;
}

async function step() {
  if (performance.now() < sliceEnd) return;
  await breathe();
  beginSlice();
}

// Work on so many things, from a first one to before a last one at a time.
async function inPieces(count, work) {
  for (let from = 0; from < count; from += PIECE) {
    work(from, Math.min(count, from + PIECE));
    await step();
  }
}

// A list in as many lists as there are groups, in one piece of memory. A negative group has none.
async function split(list, count, groupOf) {
  const starts = new Uint32Array(count + 1);
  await inPieces(list.length, (from, to) => {
    for (let at = from; at < to; at++) {
      const group = groupOf(list[at]);
      if (group >= 0) starts[group + 1]++;
    }
  });
  for (let group = 0; group < count; group++) starts[group + 1] += starts[group];
  const all = new Uint32Array(starts[count]), next = starts.slice();
  await inPieces(list.length, (from, to) => {
    for (let at = from; at < to; at++) {
      const group = groupOf(list[at]);
      if (group >= 0) all[next[group]++] = list[at];
    }
  });
  return Array.from({ length: count }, (_, group) => all.subarray(starts[group], starts[group + 1]));
}
