// The k-th smallest of any stretch of a list of whole numbers, exactly, in a step per bit.
//
// The list is kept once for each bit, from the highest: the numbers whose bit is 0 stand before the
// others, each part in its old order. So a stretch of the list is a stretch of either part on the
// next level. Source: Claude, Navarro, Ordóñez, "The wavelet matrix", Information Systems 47 (2015).

const NUMBER_MAX = 2 ** 31 - 1;

// How many bits are 1.
function bitsOf(word) {
  word -= (word >>> 1) & 0x55555555;
  word = (word & 0x33333333) + ((word >>> 2) & 0x33333333);
  return (((word + (word >>> 4)) & 0x0f0f0f0f) * 0x01010101) >>> 24;
}

// One level: a bit per number, and before each word of them how many are 0.
async function makeLevel(numbers, bit) {
  const words = new Uint32Array((numbers.length >>> 5) + 1), zeros = new Uint32Array(words.length);
  await inPieces(numbers.length, (from, to) => {
    for (let i = from; i < to; i++) words[i >>> 5] |= ((numbers[i] >>> bit) & 1) << (i & 31);
  });
  for (let word = 1; word < words.length; word++) zeros[word] = zeros[word - 1] + 32 - bitsOf(words[word - 1]);
  const next = new Uint32Array(numbers.length), level = { bit, words, zeros, zeroCount: 0 };
  level.zeroCount = zerosBefore(level, numbers.length);
  let zero = 0, one = level.zeroCount;
  await inPieces(numbers.length, (from, to) => {
    for (let i = from; i < to; i++) next[(numbers[i] >>> bit) & 1 ? one++ : zero++] = numbers[i];
  });
  return { level, next };
}

function zerosBefore({ words, zeros }, at) {
  const word = at >>> 5, within = at & 31;
  return zeros[word] + within - bitsOf(words[word] & (2 ** within - 1));
}

async function makeRanks(numbers) {
  let most = 0;
  for (let i = 0; i < numbers.length; i++) if (numbers[i] > most) most = numbers[i];
  const levels = [];
  let rest = numbers;
  for (let bit = 31 - Math.clz32(Math.max(1, most)); bit >= 0; bit--) {
    const { level, next } = await makeLevel(rest, bit);
    levels.push(level);
    rest = next;
  }
  return levels;
}

// The k-th smallest, from 0, of the positions from a first one to before a last one.
function kthSmallest(levels, k, from, to) {
  let number = 0;
  for (const level of levels) {
    const zerosFrom = zerosBefore(level, from), zerosTo = zerosBefore(level, to);
    if (k < zerosTo - zerosFrom) {
      from = zerosFrom;
      to = zerosTo;
    } else {
      k -= zerosTo - zerosFrom;
      from = level.zeroCount + from - zerosFrom;
      to = level.zeroCount + to - zerosTo;
      number += 2 ** level.bit;
    }
  }
  return number;
}

// The least value that at least a share of those values does not exceed.
function quantileBetween(levels, share, from, to) {
  return kthSmallest(levels, Math.ceil(share * (to - from)) - 1, from, to);
}
