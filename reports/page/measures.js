// What the charts ask of the operations that pass the filters. It is made once for each choice of
// filters, so that a frame costs by its pixels however many operations it covers.

const SLICE_OPERATIONS = 8192;
let sliceEnd = 0;

// Long work is done in slices, with room for the page between them.
function beginSlice() {
  sliceEnd = performance.now() + SLICE_MS;
}

async function step() {
  if (performance.now() < sliceEnd) return;
  await breathe();
  beginSlice();
}

// Operations in the order of their completions, which is that of the indices of these.
function completionOrder(run) {
  let last = 0;
  for (let i = 0; i < run.count; i++) last = Math.max(last, run.index[i] + run.done[i]);
  const at = new Int32Array(last + 1).fill(-1);
  for (let i = 0; i < run.count; i++) if (run.done[i]) at[run.index[i] + run.done[i]] = i;
  return Uint32Array.from(at.filter((i) => i >= 0));
}

// Per outcome the times of completions, sorted, and before each how many operations completed: an
// operation stands for more than itself where others were left out.
function completionsOf(run, isShown) {
  const counts = [0, 0, 0];
  for (const i of run.byCompletion) if (isShown[i]) counts[run.type[i]]++;
  const ends = counts.map((count) => new Float64Array(count)), before = counts.map((count) => new Float64Array(count + 1));
  counts.fill(0);
  for (const i of run.byCompletion) {
    if (!isShown[i]) continue;
    const outcome = run.type[i], at = counts[outcome]++;
    ends[outcome][at] = run.end[i];
    before[outcome][at + 1] = before[outcome][at] + (run.weight ? run.weight[i] : 1);
  }
  return { ends, before };
}

// Completions of an outcome up to a time, without that time.
function completedBefore({ ends, before }, outcome, time) {
  return before[outcome][firstFrom(ends[outcome], time)];
}

// How many completed in each stretch between neighbours of a list of times.
function completedBetween(completions, outcome, times) {
  const totals = times.map((time) => completedBefore(completions, outcome, time));
  return totals.slice(1).map((total, i) => total - totals[i]);
}

// The ok operations by invocation, and their latencies in an order that answers quantiles.
async function latenciesOf(run, shown, step) {
  const starts = new Float64Array(shown.length), took = new Uint32Array(shown.length);
  let count = 0;
  for (const i of shown) {
    if (run.type[i] !== OK) continue;
    starts[count] = run.start[i];
    took[count++] = Math.min(NUMBER_MAX, run.end[i] - run.start[i]);
  }
  return { starts: starts.slice(0, count), levels: await makeRanks(took.subarray(0, count), step) };
}

// Powers of ten that the latencies of all that is shown lie between.
function latencyPowers(run, shown) {
  let least = Infinity, most = 1;
  for (const i of shown) {
    const took = Math.max(1, run.end[i] - run.start[i]);
    if (took < least) least = took;
    if (took > most) most = took;
  }
  const low = Math.floor(Math.log10(least === Infinity ? 100 : least));
  return [low, Math.max(low + 1, Math.ceil(Math.log10(most)))];
}

// Of each operation that is shown its place on the axis of latency, from 0 to 255.
function latencyPlaces(run, shown, [low, high]) {
  const places = new Uint8Array(shown.length), scale = 255 / (high - low);
  for (let at = 0; at < shown.length; at++) {
    const took = Math.max(1, run.end[shown[at]] - run.start[shown[at]]);
    places[at] = Math.round((Math.log10(took) - low) * scale);
  }
  return places;
}

async function measure(run, shown, step) {
  const isShown = new Uint8Array(run.count);
  for (const i of shown) isShown[i] = 1;
  const powers = latencyPowers(run, shown);
  await step();
  const completions = completionsOf(run, isShown);
  await step();
  const places = latencyPlaces(run, shown, powers);
  await step();
  const latencies = await latenciesOf(run, shown, step);
  return { powers, completions, latencies, places, guilty: shown.filter((i) => run.isGuilty[i]) };
}

// The operations that pass; null where a newer choice has taken over meanwhile.
async function sift(run, passes, isCurrent) {
  const shown = new Uint32Array(run.count);
  let count = 0;
  for (let i = 0; i < run.count; i++) {
    if (i % SLICE_OPERATIONS === 0 && performance.now() > sliceEnd) {
      tellProgress(Math.round((100 * i) / run.count));
      await step();
      if (!isCurrent()) return null;
    }
    if (passes(i)) shown[count++] = i;
  }
  return shown.slice(0, count);
}

function tellProgress(percent) {
  document.documentElement.dataset.filtering = percent;
  document.getElementById("matching").textContent = `filtering: ${percent} %`;
}

let choices = 0;

// Shows what passes the filters, all at once when everything about it is known. A small run is done
// before this returns; a large one lets the page go on, and a newer choice stops an older one.
async function applyFilters(run, passes) {
  const own = ++choices;
  const isCurrent = () => own === choices;
  beginSlice();
  const shown = await sift(run, passes, isCurrent);
  const measures = shown && (await measure(run, shown, step));
  if (!measures || !isCurrent()) return false;
  Object.assign(view, { shown, measures, lanes: lanesOf(run, shown) });
  delete document.documentElement.dataset.filtering;
  return true;
}

// Lists of operations by lane, each by invocation.
function lanesOf(run, shown) {
  return split(shown, run.laneCount, (i) => run.lane[i]);
}

// The operations of a lane by what they look like: ok, fail, info, and those that an anomaly names.
function looksOf(run, list) {
  return split(list, 4, (i) => (run.isGuilty[i] ? 3 : run.type[i]));
}

// Looks are split before they are drawn, because for a large run that takes longer than a frame.
async function buildLooks(run) {
  for (const row of view.rows) {
    row.looks ??= looksOf(run, row.list);
    await step();
  }
}

// A list in as many lists as there are groups, in one piece of memory.
function split(list, count, groupOf) {
  const starts = new Uint32Array(count + 1);
  for (let at = 0; at < list.length; at++) starts[groupOf(list[at]) + 1]++;
  for (let group = 0; group < count; group++) starts[group + 1] += starts[group];
  const all = new Uint32Array(list.length), next = starts.slice();
  for (let at = 0; at < list.length; at++) all[next[groupOf(list[at])]++] = list[at];
  return Array.from({ length: count }, (_, group) => all.subarray(starts[group], starts[group + 1]));
}
