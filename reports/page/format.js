// Times are in µs throughout; these write them for people.

function formatDuration(us) {
  if (us >= 100e6) return `${Math.floor(us / 60e6)} min ${Math.round((us % 60e6) / 1e6)} s`;
  const units = [["s", 1e6], ["ms", 1e3], ["µs", 1]];
  const [unit, size] = units.find(([, each]) => us >= each) || units[2];
  const number = us / size;
  const decimals = unit === "µs" || number >= 100 ? 0 : number >= 10 ? 1 : 2;
  return `${number.toFixed(decimals)} ${unit}`;
}

// A point in time with as many decimals as a span of that length needs to tell points apart.
function formatTime(us, spanUs) {
  const decimals = Math.min(6, Math.max(0, 8 - Math.floor(Math.log10(Math.max(1, spanUs)))));
  return `${(us / 1e6).toFixed(Math.min(decimals, 6))} s`;
}

function formatCount(number, noun) {
  return `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
}

// 1, 2 or 5 times a power of ten: the least that is not below raw.
function roundStep(raw) {
  const power = 10 ** Math.floor(Math.log10(raw));
  return power * [1, 2, 5, 10].find((factor) => factor * power >= raw * 0.999999);
}
