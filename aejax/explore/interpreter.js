"use strict";
/* Runs programs that `_program.py` writes: functions of arrays, as lists of instructions.

   A program is {buffers, inputs, outputs, scalars, arrays, steps}. A buffer is one typed array, [type, size]; a step is
   [instruction, inputs, outputs, settings] with the numbers of buffers. All shapes are known, so every index is worked
   out once, when a program is loaded. Steps that depend on no input run then too, and never again. */

const TYPES = {
  f4: Float32Array, i4: Int32Array, u4: Uint32Array, i2: Int16Array, u2: Uint16Array, i1: Int8Array, u1: Uint8Array,
};

const PAIRS = {
  add: (x, y) => x + y, sub: (x, y) => x - y, mul: (x, y) => x * y, div: (x, y) => x / y,
  quotient: (x, y) => Math.trunc(x / y), rem: (x, y) => x % y, pow: Math.pow, atan2: Math.atan2,
  max: Math.max, min: Math.min, and: (x, y) => x & y, or: (x, y) => x | y, xor: (x, y) => x ^ y,
  eq: (x, y) => x === y, ne: (x, y) => x !== y, lt: (x, y) => x < y, le: (x, y) => x <= y,
  gt: (x, y) => x > y, ge: (x, y) => x >= y,
};

const SINGLES = {
  copy: x => x, nonzero: x => x !== 0, neg: x => -x, not: x => !x, invert: x => ~x, square: x => x * x,
  rsqrt: x => 1 / Math.sqrt(x), logistic: x => 1 / (1 + Math.exp(-x)), exp2: x => Math.pow(2, x),
  round_away: x => Math.sign(x) * Math.round(Math.abs(x)), round_even: roundEven, is_finite: Number.isFinite, erf,
};
for (const name of ("abs sign floor ceil exp log log1p expm1 sqrt cbrt tanh sin cos tan asin acos atan sinh cosh asinh "
  + "acosh atanh").split(" ")) SINGLES[name] = Math[name];

const TRIPLES = {
  select: (which, one, other) => (which ? other : one), clamp: (low, x, high) => Math.min(Math.max(x, low), high),
};

const BY = {  // what joins values, and what it begins with
  sum: [PAIRS.add, 0], prod: [PAIRS.mul, 1], max: [Math.max, -Infinity], min: [Math.min, Infinity],
  and: [PAIRS.and, 1], or: [PAIRS.or, 0],
};

function roundEven(x) {
  const below = Math.floor(x), rest = x - below;
  return rest < 0.5 || (rest === 0.5 && below % 2 === 0) ? below : below + 1;
}

/** The error function: its series near zero, and elsewhere the continued fraction of 1 - erf, to float32's last digit. */
function erf(x) {
  const size = Math.abs(x);
  if (!(size < 6)) return Math.sign(x);
  if (size < 2.5) {
    let term = x, sum = x;
    for (let n = 1; Math.abs(term) > 1e-10 * Math.abs(sum); n++) sum += (term *= -x * x / n) / (2 * n + 1);
    return 2 / Math.sqrt(Math.PI) * sum;
  }
  let tail = size;
  for (let n = 40; n > 0; n--) tail = size + n / 2 / tail;
  return Math.sign(x) * (1 - Math.exp(-x * x) / Math.sqrt(Math.PI) / tail);
}

/** Where the values of an array lie that is walked through by `strides`, the last axis fastest. */
function places(shape, strides, offset = 0) {
  let found = [offset];
  shape.forEach((size, axis) => {
    const next = new Array(found.length * size);
    for (let i = 0; i < found.length; i++)
      for (let j = 0; j < size; j++) next[i * size + j] = found[i] + j * strides[axis];
    found = next;
  });
  return Int32Array.from(found);
}

/** For each place of a convolution's output, which places of its window lie on which places of its input. */
function taps({ space, window, outs, strides, pads, spaced, dilated }) {
  const one = window.map(() => 0), size = list => list.reduce((a, b) => a * b, 1);
  const steps = list => list.map((_, axis) => size(list.slice(axis + 1)));
  const walk = list => {
    const own = steps(list);
    return Array.from({ length: size(list) }, (_, i) => one.map((_, axis) => Math.floor(i / own[axis]) % list[axis]));
  };
  const inSteps = steps(space), windows = walk(window), starts = [0], from = [], at = [];
  for (const out of walk(outs)) {
    windows.forEach((place, number) => {
      let index = 0;
      for (let axis = 0; axis < space.length; axis++) {
        const x = out[axis] * strides[axis] - pads[axis] + place[axis] * dilated[axis];
        if (x % spaced[axis] || x < 0 || x / spaced[axis] >= space[axis]) return;
        index += (x / spaced[axis]) * inSteps[axis];
      }
      from.push(index);
      at.push(number);
    });
    starts.push(from.length);
  }
  return { starts: Int32Array.from(starts), from: Int32Array.from(from), at: Int32Array.from(at) };
}

const bounded = (x, most) => Math.min(Math.max(x, 0), most);

/* Every instruction: given its buffers and settings it returns a function that runs it. */
const MAKE = {
  view([x], [out], { shape, strides, offset }) {
    const from = places(shape, strides, offset);
    return () => { for (let i = 0; i < from.length; i++) out[i] = x[from[i]]; };
  },

  place(given, [out], { pieces }) {
    const to = pieces.map(([shape, strides, offset]) => places(shape, strides, offset));
    const filler = given[to.length];
    return () => {
      if (filler) out.fill(filler[0]);
      to.forEach((at, piece) => { for (let i = 0; i < at.length; i++) out[at[i]] = given[piece][i]; });
    };
  },

  iota(_, [out], { inner, count }) {
    return () => { for (let i = 0; i < out.length; i++) out[i] = Math.floor(i / inner) % count; };
  },

  matmul([x, y], [out], { batch, rows, inner, columns }) {
    const sums = new Float64Array(columns);
    return () => {
      for (let b = 0; b < batch; b++) for (let r = 0; r < rows; r++) {
        const row = (b * rows + r) * inner;
        sums.fill(0);
        if (columns === 1) for (let k = 0; k < inner; k++) sums[0] += x[row + k] * y[b * inner + k];
        else for (let k = 0; k < inner; k++) {
          const value = x[row + k], from = (b * inner + k) * columns;
          if (value !== 0) for (let c = 0; c < columns; c++) sums[c] += value * y[from + c];
        }
        out.set(sums, (b * rows + r) * columns);
      }
    };
  },

  conv([x, kernel], [out], settings) {
    const { starts, from, at } = taps(settings), { batch, channels, filters, groups } = settings;
    const size = starts.length - 1, inSize = x.length / batch / channels / groups, own = filters / groups;
    const sums = new Float64Array(filters);
    return () => {
      for (let n = 0; n < batch; n++) for (let o = 0; o < size; o++) {
        sums.fill(0);
        for (let t = starts[o]; t < starts[o + 1]; t++) for (let g = 0; g < groups; g++) {
          const input = ((n * inSize + from[t]) * groups + g) * channels;
          const weights = at[t] * channels * filters + g * own, first = g * own;
          for (let c = 0; c < channels; c++) {
            const value = x[input + c], w = weights + c * filters;
            if (value !== 0) for (let f = 0; f < own; f++) sums[first + f] += value * kernel[w + f];
          }
        }
        out.set(sums, (n * size + o) * filters);
      }
    };
  },

  pool([x], [out], settings) {
    const { starts, from } = taps(settings), [join, begin] = BY[settings.by];
    return () => {
      for (let o = 0; o < out.length; o++) {
        let sum = begin;
        for (let t = starts[o]; t < starts[o + 1]; t++) sum = join(sum, x[from[t]]);
        out[o] = sum;
      }
    };
  },

  reduce([x], [out], { by }) {
    const inner = out.length && x.length / out.length;
    if (by.startsWith("arg")) {
      const better = by === "argmax" ? (a, b) => a > b : (a, b) => a < b;
      return () => {
        for (let o = 0; o < out.length; o++) {
          let best = 0;
          for (let i = 1; i < inner; i++) if (better(x[o * inner + i], x[o * inner + best])) best = i;
          out[o] = best;
        }
      };
    }
    const [join, begin] = BY[by];
    return () => {
      for (let o = 0; o < out.length; o++) {
        let sum = begin;
        for (let i = 0; i < inner; i++) sum = join(sum, x[o * inner + i]);
        out[o] = sum;
      }
    };
  },

  accumulate([x], [out], { by, inner, back }) {
    const [join, begin] = BY[by];
    return () => {
      for (let o = 0; o < out.length; o += inner) {
        let sum = begin;
        for (let i = 0; i < inner; i++) {
          const place = o + (back ? inner - 1 - i : i);
          out[place] = sum = join(sum, x[place]);
        }
      }
    };
  },

  gather([x, index], [out], settings) {
    const { steps, most, fill } = settings, walk = windows(settings);
    return () => walk((b, inner, outer, along) => {
      let start = along, inside = true;
      for (let k = 0; k < steps.length; k++) {
        const i = index[b * steps.length + k], kept = bounded(i, most[k]);
        inside &&= i === kept;
        start += kept * steps[k];
      }
      const filled = fill !== null && !inside, value = filled ? Number(fill) : 0;
      for (let i = 0; i < inner.length; i++) out[outer.at + outer.places[i]] = filled ? value : x[start + inner[i]];
    });
  },

  scatter([x, index, updates], [out], settings) {
    const { steps, most, drop, by } = settings, walk = windows(settings);
    return () => {
      out.set(x);
      walk((b, inner, outer, along) => {
        let start = along;
        for (let k = 0; k < steps.length; k++) {
          const i = index[b * steps.length + k], kept = bounded(i, most[k]);
          if (drop && i !== kept) return;
          start += kept * steps[k];
        }
        for (let i = 0; i < inner.length; i++) {
          const value = updates[outer.at + outer.places[i]];
          out[start + inner[i]] = by === "set" ? value : out[start + inner[i]] + value;
        }
      });
    };
  },

  window([x, ...starts], [out], { shape, strides, steps, most }) {
    const from = places(shape, strides);
    return () => {
      const start = begins(starts, steps, most);
      for (let i = 0; i < from.length; i++) out[i] = x[start + from[i]];
    };
  },

  put([x, update, ...starts], [out], { shape, strides, steps, most }) {
    const to = places(shape, strides);
    return () => {
      const start = begins(starts, steps, most);
      out.set(x);
      for (let i = 0; i < to.length; i++) out[start + to[i]] = update[i];
    };
  },

  sort(given, outs, { inner, keys }) {
    return () => {
      for (let o = 0; o < outs[0].length; o += inner) {
        const order = ordered(inner, (i, j) => {
          for (let key = 0; key < keys; key++) {
            const side = compared(given[key][o + i], given[key][o + j]);
            if (side) return side;
          }
          return i - j;
        });
        outs.forEach((out, n) => order.forEach((from, to) => { out[o + to] = given[n][o + from]; }));
      }
    };
  },

  top_k([x], [values, index], { inner, k }) {
    return () => {
      for (let o = 0; o * inner < x.length; o++) {
        const order = ordered(inner, (i, j) => compared(x[o * inner + j], x[o * inner + i]) || i - j);
        for (let i = 0; i < k; i++) {
          values[o * k + i] = x[o * inner + order[i]];
          index[o * k + i] = order[i];
        }
      }
    };
  },
};

for (const [name, f] of Object.entries(SINGLES))
  MAKE[name] = ([x], [out]) => () => { for (let i = 0; i < out.length; i++) out[i] = f(x[i]); };

for (const [name, f] of Object.entries(PAIRS))
  MAKE[name] = ([x, y], [out]) => {
    const n = out.length, xs = x.length > 1 || n < 2 ? 1 : 0, ys = y.length > 1 || n < 2 ? 1 : 0;
    return () => { for (let i = 0; i < n; i++) out[i] = f(x[i * xs], y[i * ys]); };
  };

for (const [name, f] of Object.entries(TRIPLES))
  MAKE[name] = (given, [out]) => {
    const [x, y, z] = given, [xs, ys, zs] = given.map(each => (each.length > 1 || out.length < 2 ? 1 : 0));
    return () => { for (let i = 0; i < out.length; i++) out[i] = f(x[i * xs], y[i * ys], z[i * zs]); };
  };

const begins = (starts, steps, most) => starts.reduce((sum, [start], k) => sum + bounded(start, most[k]) * steps[k], 0);

const compared = (x, y) => (x < y ? -1 : x > y ? 1 : Number.isNaN(x) - Number.isNaN(y));

const ordered = (count, compare) => Array.from({ length: count }, (_, i) => i).sort(compare);

/** Walks through the windows of a gather or a scatter, which are as many as `count` says. */
function windows({ count, outer, along, window, window_outer, window_inner }) {
  const at = places(count, outer), own = places(count, along), inner = places(window, window_inner);
  const outside = { at: 0, places: places(window, window_outer) };
  return visit => at.forEach((place, b) => {
    outside.at = place;
    visit(b, inner, outside, own[b]);
  });
}

/** Loads a program, and returns a function from its inputs to its outputs: arrays that the next call overwrites. */
function load(program, arrays) {
  const buffers = program.buffers.map(([type, size]) => new TYPES[type](size));
  for (const [place, value] of Object.entries(program.scalars)) buffers[place][0] = Number(value);
  for (const [place, number] of Object.entries(program.arrays)) buffers[place] = arrays[number];
  const open = new Set(program.inputs), each = [];
  for (const [name, given, outs, settings] of program.steps) {
    const run = MAKE[name](given.map(i => buffers[i]), outs.map(i => buffers[i]), settings);
    if (given.some(i => open.has(i))) {
      outs.forEach(i => open.add(i));
      each.push(run);
    } else run();
  }
  return (...given) => {
    given.forEach((value, i) => buffers[program.inputs[i]].set(value));
    each.forEach(run => run());
    return program.outputs.map(i => buffers[i]);
  };
}

/** A float16 as a number. */
function halfToNumber(bits) {
  const sign = bits & 0x8000 ? -1 : 1, exponent = (bits >> 10) & 31, fraction = bits & 1023;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -14 * (fraction / 1024));
}

const LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%.()*+-;,=>?@^_`{|}~";

/** The bytes of a text in base 85: five letters for four bytes, behind how many bytes there are. */
function bytesOf(text) {
  const start = text.indexOf(":") + 1, value = new Uint8Array(128);
  [...LETTERS].forEach((letter, i) => { value[letter.charCodeAt(0)] = i; });
  const bytes = new DataView(new ArrayBuffer((text.length - start) / 5 * 4));
  for (let i = start, at = 0; i < text.length; i += 5, at += 4) {
    let word = 0;
    for (let k = 0; k < 5; k++) word = word * 85 + value[text.charCodeAt(i + k)];
    bytes.setUint32(at, word);
  }
  return new Uint8Array(bytes.buffer, 0, Number(text.slice(0, start - 1)));
}

/** Unpacks arrays: zlib's deflate of the first bytes of all values of an array, then their second bytes, and so on. */
async function unpack(text, kinds) {
  const stream = new Blob([bytesOf(text)]).stream().pipeThrough(new DecompressionStream("deflate"));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  let start = 0;
  return kinds.map(([type, size]) => {
    const width = Number(type[1]), own = new Uint8Array(width * size);
    for (let plane = 0; plane < width; plane++)
      for (let i = 0; i < size; i++) own[i * width + plane] = bytes[start + plane * size + i];
    start += width * size;
    return type === "f2" ? Float32Array.from(new Uint16Array(own.buffer), halfToNumber) : new TYPES[type](own.buffer);
  });
}

if (typeof module !== "undefined") module.exports = { load, unpack, erf };
