// What the charts ask of the operations that pass the filters. It is made once for each choice of
// filters, so that a frame costs by its pixels however many operations it covers.

// A test of an operation may search its words, which takes longer than adding a number.
const SIFTED = 8192;

// Operations in the order of their completions, which is that of the indices of these.
async function completionOrder(run) {
  let last = 0, count = 0;
  await inPieces(run.count, (from, to) => {
    for (let i = from; i < to; i++) last = Math.max(last, run.index[i] + run.done[i]);
  });
  // One more than the position: what has none is 0.
  const at = new Uint32Array(last + 1);
  await inPieces(run.count, (from, to) => {
    for (let i = from; i < to; i++) if (run.done[i]) at[run.index[i] + run.done[i]] = i + 1;
  });
  const order = new Uint32Array(run.count);
  await inPieces(at.length, (from, to) => {
    for (let index = from; index < to; index++) if (at[index]) order[count++] = at[index] - 1;
  });
  return order.subarray(0, count);
}

// Per outcome the times of completions, sorted, and before each how many operations completed: an
// operation stands for more than itself where others were left out.
async function completionsOf(run, isShown) {
  const order = run.byCompletion, counts = [0, 0, 0];
  await inPieces(order.length, (from, to) => {
    for (let at = from; at < to; at++) if (isShown[order[at]]) counts[run.type[order[at]]]++;
  });
  const ends = counts.map((count) => new Float64Array(count)), before = counts.map((count) => new Float64Array(count + 1));
  counts.fill(0);
  await inPieces(order.length, (from, to) => {
    for (let place = from; place < to; place++) {
      const i = order[place];
      if (!isShown[i]) continue;
      const outcome = run.type[i], at = counts[outcome]++;
      ends[outcome][at] = run.end[i];
      before[outcome][at + 1] = before[outcome][at] + (run.weight ? run.weight[i] : 1);
    }
  });
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
async function latenciesOf(run, ok) {
  const starts = new Float64Array(ok.length), took = new Uint32Array(ok.length);
  await inPieces(ok.length, (from, to) => {
    for (let at = from; at < to; at++) {
      starts[at] = run.start[ok[at]];
      took[at] = Math.min(NUMBER_MAX, run.end[ok[at]] - starts[at]);
    }
  });
  return { starts, levels: await makeRanks(took) };
}

// Powers of ten that the latencies of all that is shown lie between.
async function latencyPowers(run, shown) {
  let least = Infinity, most = 1;
  await inPieces(shown.length, (from, to) => {
    for (let at = from; at < to; at++) {
      const took = Math.max(1, run.end[shown[at]] - run.start[shown[at]]);
      if (took < least) least = took;
      if (took > most) most = took;
    }
  });
  const low = Math.floor(Math.log10(least === Infinity ? 100 : least));
  return [low, Math.max(low + 1, Math.ceil(Math.log10(most)))];
}

async function measure(run, shown) {
  const isShown = new Uint8Array(run.count);
  await inPieces(shown.length, (from, to) => {
    for (let at = from; at < to; at++) isShown[shown[at]] = 1;
  });
  const powers = await latencyPowers(run, shown);
  const completions = await completionsOf(run, isShown);
  const byOutcome = await split(shown, OUTCOMES.length, (i) => run.type[i]);
  const latencies = await latenciesOf(run, byOutcome[OK]);
  return { powers, completions, latencies, byOutcome, cloud: await cloudOf(run, byOutcome, powers), guilty: run.guiltyOperations.filter((i) => isShown[i]) };
}

// The operations that pass; null where a newer choice has taken over meanwhile.
async function sift(run, passes, isCurrent) {
  const shown = new Uint32Array(run.count);
  let count = 0;
  for (let from = 0; from < run.count; from += SIFTED) {
    if (performance.now() > sliceEnd) {
      tellProgress(Math.round((100 * from) / run.count));
      await step();
      if (!isCurrent()) return null;
    }
    for (let i = from; i < Math.min(run.count, from + SIFTED); i++) if (passes(i)) shown[count++] = i;
  }
  return shown.slice(0, count);
}

function tellProgress(percent) {
  document.documentElement.dataset.filtering = percent;
  document.getElementById("matching").textContent = `filtering: ${percent} %`;
}

let choices = 0, layouts = 0;

// Shows what passes the filters, all at once when everything about it is known. A small run is done
// before the next frame; a large one lets the page go on, and a newer choice stops an older one.
async function applyFilters(run, passes) {
  const own = ++choices;
  const isCurrent = () => own === choices;
  beginSlice();
  const shown = await sift(run, passes, isCurrent);
  const measures = shown && (await measure(run, shown));
  let rows = null;
  // The lanes may be chosen meanwhile.
  while (measures && isCurrent() && rows?.laidBy !== view.grouping) rows = await makeRows(run, shown, view.grouping);
  if (!rows || !isCurrent()) return false;
  layouts++;
  Object.assign(view, { shown, measures, ...rows });
  for (const name of ["filtering", "laying"]) delete document.documentElement.dataset[name];
  return true;
}

// Lays what is shown out in other lanes; false where a newer choice has taken over.
async function applyGrouping(run) {
  const own = ++layouts;
  beginSlice();
  document.documentElement.dataset.laying = "";
  const rows = await makeRows(run, view.shown, view.grouping);
  if (own !== layouts) return false;
  Object.assign(view, rows);
  delete document.documentElement.dataset.laying;
  return true;
}
