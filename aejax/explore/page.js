/* The page: one state (a code, its class, the input it came from), and parts that show it and change it. */

const $ = id => document.getElementById(id);
const made = (name, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
};
const mix = (x, y, share) => x.map((value, i) => (1 - share) * value + share * y[i]);
const dot = (x, y) => x.reduce((sum, value, i) => sum + value * y[i], 0);
const short = x => (x === 0 ? "0" : Math.abs(x) >= 1e5 || Math.abs(x) < 1e-3 ? x.toExponential(1) : String(+x.toPrecision(4)));
const colourOf = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const classColour = kind => colourOf(`--k${kind % 10}`);

async function start() {
  try {
    if (typeof DecompressionStream === "undefined") throw new Error("this browser is too old: it cannot unpack the page");
    const content = JSON.parse($("content").textContent);
    const arrays = await unpack($("arrays").textContent.trim(), content.kinds);
    window.page = new Page(content, arrays);
  } catch (error) {
    $("broken").textContent = `The page does not run here: ${error.message}`;
    $("broken").hidden = false;
    throw error;
  }
}

class Page {
  constructor(content, arrays) {
    this.content = content;
    this.array = number => arrays[number];
    this.size = content.latent;
    this.encoder = load(content.encode, arrays);
    this.decoder = load(content.decode, arrays);
    this.isImage = content.shape.length === 3;
    this.values = content.shape.reduce((a, b) => a * b, 1);
    const x = Float32Array.from(this.array(content.examples.x), value => (content.grey ? value / 255 : value));
    const codes = this.array(content.examples.code), given = content.classes && this.array(content.given);
    this.examples = Array.from({ length: content.count }, (_, i) => ({
      x: x.subarray(i * this.values, (i + 1) * this.values),
      code: codes.subarray(i * this.size, (i + 1) * this.size),
      label: given ? given[i] : 0,
      kind: content.kinds_of ? this.array(content.kind)[i] : null,
    }));
    this.limits = this.isImage ? content.limits : this.columnLimits();
    this.label = 0;
    this.parts = [];
    this.say();
    if (this.size <= 2) {  // the plane is the code itself
      $("code").append(...$("plane").children);
      $("plane").remove();
      document.body.classList.add("flat");
    }
    this.parts.push(new Input(this), new Output(this), new Code(this), new Plane(this), new Thumbs(this));
    this.morph = new Morph(this);
    this.parts.push(this.morph);
    this.keys();
    this.theme();
    this.choose(this.random());
  }

  say() {
    const { name, data, parameters, shape, latent } = this.content;
    $("name").textContent = name;
    $("about").textContent = `${shape.join(" × ")} values in ${latent} numbers and back, learned from ${data}; `
      + `${parameters.toLocaleString("en")} parameters`;
  }

  /** The least and the greatest value of each column over the examples. */
  columnLimits() {
    const low = new Float32Array(this.values).fill(Infinity), high = new Float32Array(this.values).fill(-Infinity);
    for (const { x } of this.examples) x.forEach((value, i) => {
      low[i] = Math.min(low[i], value);
      high[i] = Math.max(high[i], value);
    });
    return [low, high.map((value, i) => (value > low[i] ? value : low[i] + 1))];
  }

  random() {
    return Math.floor(Math.random() * this.examples.length);
  }

  withLabel(first) {
    return this.content.classes ? [first, [this.label]] : [first];
  }

  encode(x) {
    const [mean, scale] = this.encoder(...this.withLabel(x));
    return { mean: mean.slice(), scale: scale ? scale.slice() : null };
  }

  decode(z) {
    return this.decoder(...this.withLabel(z))[0];
  }

  /** Takes a test example as the input. */
  choose(number) {
    this.label = this.examples[number].label;
    this.take(this.examples[number].x, number);
  }

  /** Takes values as the input, and their code. */
  take(x, example = null) {
    this.x = x;
    this.example = example;
    this.posterior = this.encode(x);
    this.set(this.posterior.mean.slice(), true);
  }

  /** Sets the code; `own`: it is the one of the input. */
  set(z, own = false) {
    this.z = z;
    this.own = own;
    this.redraw();
  }

  setLabel(label) {
    this.label = label;
    if (this.own) {
      this.posterior = this.encode(this.x);
      this.z = this.posterior.mean.slice();
    }
    this.redraw();
  }

  /** Decodes the code and shows everything anew, once before the browser draws its next picture. */
  redraw() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      const begun = performance.now();
      this.made = this.decode(this.z).slice();
      this.took = performance.now() - begun;
      this.parts.forEach(part => part.show());
    });
  }

  sample() {
    const codes = this.array(this.content.samples), from = Math.floor(Math.random() * this.content.samples_count);
    this.set(codes.slice(from * this.size, (from + 1) * this.size));
  }

  keys() {
    const actions = {
      r: () => $("another").click(), c: () => $("clear").click(), d: () => $("pen").click(), e: () => $("rubber").click(),
      s: () => $("sample").click(), b: () => $("back").click(), p: () => $("tapestry").click(), " ": () => $("play").click(),
    };
    addEventListener("keydown", event => {
      if ((event.ctrlKey || event.metaKey) && event.key === "z") $("undo").click();
      else if (event.ctrlKey || event.metaKey || event.altKey) return;
      else if (event.key === " " && event.target.tagName === "BUTTON") return;
      else if (!actions[event.key.toLowerCase()]) return;
      else actions[event.key.toLowerCase()]();
      event.preventDefault();
    });
  }

  theme() {
    const dark = matchMedia("(prefers-color-scheme: dark)"), root = document.documentElement;
    const apply = theme => {
      root.dataset.theme = theme;
      this.parts.forEach(part => part.recolour?.());
      if (this.made) this.redraw();
    };
    const asked = location.hash.slice(1);
    apply(["light", "dark"].includes(asked) ? asked : dark.matches ? "dark" : "light");
    dark.addEventListener("change", () => apply(dark.matches ? "dark" : "light"));
    $("theme").addEventListener("click", () => apply(root.dataset.theme === "dark" ? "light" : "dark"));
  }

  /** A thumbnail of values of the model's output, or of its input. */
  thumbnail(values, canvas = made("canvas")) {
    const shape = values.length === this.values ? this.content.shape : this.content.out_shape;
    const limits = values.length === this.values || this.isImage ? this.limits : extent(values);
    thumbnail(canvas, values, shape, limits, colourOf("--accent"));
    return canvas;
  }
}

const extent = values => [values.reduce((a, b) => Math.min(a, b)), values.reduce((a, b) => Math.max(a, b))];

function press(button, on) {
  button.setAttribute("aria-pressed", on);
}

/** Calls `move(x, y, event, first)` while a pointer is held down on an element, in shares of its size; then `end(moved)`. */
function dragged(element, move, end = () => {}) {
  let from = null, far = false;
  const at = event => {
    const box = element.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  };
  element.addEventListener("pointerdown", event => {
    if (event.button > 0) return;
    element.setPointerCapture(event.pointerId);
    from = [event.clientX, event.clientY];
    far = false;
    move(...at(event), event, true);
  });
  element.addEventListener("pointermove", event => {
    if (!from) return;
    far ||= Math.hypot(event.clientX - from[0], event.clientY - from[1]) > 4;
    for (const each of event.getCoalescedEvents?.() ?? [event]) move(...at(each), each, false);
  });
  const stop = event => {
    if (from) end(far, ...at(event));
    from = null;
  };
  element.addEventListener("pointerup", stop);
  element.addEventListener("pointercancel", stop);
}

/** The input: an example, on which one draws, or whose numbers one changes. */
class Input {
  constructor(page) {
    this.page = page;
    const { content } = page, channels = content.shape[2];
    $("another").addEventListener("click", () => page.choose(page.random()));
    const draws = page.isImage && (channels === 1 || channels === 3);
    $("pens").hidden = !draws;
    $("pad").classList.toggle("still", !draws);
    $("input").querySelector(".picture").hidden = !page.isImage;
    if (!page.isImage) this.rows = new Values($("input-values"), page, content.columns, content.offset, true);
    const xs = page.examples.map(example => example.x);
    if (draws) this.ground = groundOf(xs, content.shape, page.limits);
    if (draws) this.drawing = new Drawing(content.shape, page.limits, this.ground);
    this.frame = draws && channels === 1
      ? sharedFrame(xs, content.shape[0], content.shape[1], towards(this.ground, page.limits)) : null;
    $("fit-line").hidden = !this.frame;
    if (draws) this.listen();
    if (draws) $("colour").hidden = channels === 1;
  }

  listen() {
    const { page, drawing } = this, white = this.ground === page.limits[0] ? "#ffffff" : "#000000";
    const black = white === "#ffffff" ? "#000000" : "#ffffff";
    $("colour").value = white;
    $("width").value = Math.max(7, 130 / Math.max(drawing.h, drawing.w));  // at least a little more than a pixel
    let erases = false;
    const choose = rubber => {
      erases = rubber;
      press($("pen"), !rubber);
      press($("rubber"), rubber);
    };
    $("pen").addEventListener("click", () => choose(false));
    $("rubber").addEventListener("click", () => choose(true));
    dragged($("pad"), (x, y, event, first) => {
      this.follow();
      const erasing = erases || event.buttons === 32;  // the other end of a pen
      const colour = erasing ? black : drawing.channels === 3 ? $("colour").value : white;
      if (first) drawing.add({ points: [[x, y]], width: $("width").value / 100, colour });
      else drawing.extend([x, y]);
      this.changed();
    });
    $("undo").addEventListener("click", () => {
      drawing.undo();
      this.changed();
    });
    $("clear").addEventListener("click", () => {
      page.example = null;
      drawing.begin(null);
      this.changed();
    });
    $("fit").addEventListener("change", () => this.changed());
  }

  /** Lets the drawing lie over the example that is shown, if it does not yet. */
  follow() {
    if (this.page.example !== null) this.drawing.begin(this.page.x);
    this.page.example = null;
  }

  changed() {
    const { page, drawing } = this;
    this.follow();
    const fits = this.frame && !drawing.base && $("fit").checked && drawing.strokes.length;
    let x = drawing.values(fits ? drawing.fitted(this.frame) : null);
    if (page.content.binary) x = x.map(value => (value > 0.5 ? 1 : 0));
    this.drawn = drawing.values();
    this.moved = Boolean(fits);
    page.take(x);
  }

  show() {
    const { page } = this, example = page.example;
    $("seen").hidden = example !== null || !this.moved;
    if (!$("seen").hidden) paint($("seen"), page.x, page.content.shape, page.limits);
    if (page.isImage) paint($("pad"), example === null && this.drawn ? this.drawn : page.x, page.content.shape, page.limits);
    else this.rows.show(page.x, page.own ? page.made : null);
    const kinds = page.content.kinds_of, kind = example !== null && page.examples[example].kind;
    $("input-note").textContent = example === null ? (page.isImage ? "your drawing" : "your numbers")
      : `test example ${example + 1}${kinds ? `: ${kinds[kind]}` : ""}`;
  }
}

/** The output: what the code decodes to, in the class that is chosen. */
class Output {
  constructor(page) {
    this.page = page;
    const { classes, out_shape: shape, columns, offset } = page.content;
    this.isImage = shape.length === 3;
    $("output").querySelector(".picture").hidden = !this.isImage;
    if (!this.isImage) this.rows = new Values($("output-values"), page, columns, offset, false);
    this.chips = (classes ?? []).map((name, label) =>
      made("button", { className: "chip", textContent: name, onclick: () => page.setLabel(label) }));
    $("classes").append(...this.chips);
    $("classes").hidden = !classes;
    if (this.isImage) new IntersectionObserver(([seen]) => {
      $("mini").hidden = seen.isIntersecting || seen.boundingClientRect.top > 0;
    }, { threshold: 0.3 }).observe($("shown"));
  }

  show() {
    const { page } = this, { made: values, x } = page;
    if (this.isImage) ["shown", "mini"].forEach(id => paint($(id), values, page.content.out_shape, page.limits));
    else this.rows.show(values, page.own && x.length === values.length ? x : null);
    this.chips.forEach((chip, label) => press(chip, label === page.label));
    const error = page.own && x.length === values.length && x.reduce((sum, value, i) => sum + (value - values[i]) ** 2, 0);
    $("output-note").textContent = page.own ? "of the input" : "of a code you moved";
    const said = page.own && x.length === values.length ? `squared error ${short(error)} · ` : "";
    $("timing").textContent = `${said}decoded in ${Math.max(page.took, 0.1).toFixed(1)} ms`;
  }
}

/** Numbers of an example: a row for each, or where there are very many a line, on which one draws. */
class Values {
  constructor(box, page, columns, offset, given) {
    Object.assign(this, { page, given, offset });
    const same = given || String(page.content.out_shape) === String(page.content.shape);
    this.few = page.values <= 100 && same;
    if (this.few) this.rows(box, page.values, columns);
    else this.chart(box);
  }

  rows(box, count, columns) {
    const [low, high] = this.page.limits;
    this.lines = Array.from({ length: count }, (_, i) => {
      const name = columns[i] ?? `value ${i + 1}`, text = made("span");
      const track = this.given
        ? made("input", { type: "range", min: low[i], max: high[i], step: "any", ariaLabel: name })
        : made("div", { className: "bar" }, made("b"), made("i"));
      if (this.given) track.addEventListener("input", () => {
        const x = this.page.x.slice();
        x[i] = Number(track.value);
        this.page.take(x);
      });
      box.append(made("div", { className: "value", title: name }, made("span", { textContent: name }), track, text));
      return { track, text };
    });
  }

  chart(box) {
    this.canvas = made("canvas", { className: "chart" });
    box.append(this.canvas);
    if (this.given) dragged(this.canvas, (x, y) => {
      const values = this.page.x.slice(), [low, high] = this.ends(), height = this.canvas.clientHeight;
      const i = Math.min(values.length - 1, Math.max(0, Math.floor(x * values.length)));
      values[i] = low + (high - low) * Math.min(1, Math.max(0, (height - 4 - y * height) / (height - 8)));
      this.page.take(values);
    });
  }

  ends() {
    const [low, high] = this.page.limits;
    return [extent(low)[0], extent(high)[1]];
  }

  /** Shows values, and on them others to compare with. */
  show(values, other) {
    if (!this.few) return this.drawLines(values, other);
    const [low, high] = this.page.limits;
    this.lines.forEach(({ track, text }, i) => {
      const share = x => `${Math.min(100, Math.max(0, 100 * (x - low[i]) / (high[i] - low[i])))}%`;
      text.textContent = short(values[i] + (this.offset[i] ?? 0));
      if (this.given) track.value = values[i];
      else {
        track.children[0].style.width = share(values[i]);
        track.children[1].hidden = !other;
        if (other) track.children[1].style.left = share(other[i]);
      }
    });
  }

  drawLines(values, other) {
    const { canvas } = this, sharp = devicePixelRatio, width = canvas.clientWidth, height = canvas.clientHeight;
    canvas.width = width * sharp;
    canvas.height = height * sharp;
    const context = canvas.getContext("2d");
    context.scale(sharp, sharp);
    const ends = values.length === this.page.values ? this.ends() : extent(values);
    if (other) line(context, other, ends, width, height, colourOf("--line"));
    line(context, values, ends, width, height, colourOf("--accent"));
  }
}

/** The code: a slider for each of some dimensions, over the histogram of all posteriors. */
class Code {
  constructor(page) {
    this.page = page;
    const { order, low, high, histogram, sparse, samples } = page.content;
    [this.order, this.low, this.high, this.histogram] = [order, low, high, histogram].map(page.array);
    this.least = page.isImage ? 12 : 18;
    this.count = Math.min(page.size, this.least);
    this.local = sparse;
    $("sample").hidden = samples === null;
    $("sample").addEventListener("click", () => page.sample());
    $("back").addEventListener("click", () => page.set(page.posterior.mean.slice(), true));
    $("more").hidden = page.size <= this.least;
    $("more").addEventListener("click", () => {
      this.count = this.count >= Math.min(page.size, 96) ? this.least : Math.min(page.size, 2 * this.count, 96);
      $("more").textContent = this.count >= Math.min(page.size, 96) ? "fewer" : "more";
      this.show();
    });
    $("here").hidden = page.size <= this.least;
    $("here").addEventListener("click", () => {
      this.local = !this.local;
      this.show();
    });
    $("code-note").textContent = page.size > this.least ? `${page.size} numbers` : "";
    this.rows = [];
  }

  row() {
    const bar = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    bar.setAttribute("viewBox", "0 0 100 100");
    bar.setAttribute("preserveAspectRatio", "none");
    bar.innerHTML = "<path/><rect y='92' height='8'/>";
    const input = made("input", { type: "range", step: "any" }), name = made("span"), value = made("span");
    const element = made("div", { className: "slider" }, name, made("div", { className: "track" }, bar, input), value);
    const row = { element, input, name, value, path: bar.firstChild, band: bar.lastChild, dimension: -1 };
    input.addEventListener("input", () => {
      const z = this.page.z.slice();
      z[row.dimension] = Number(input.value);
      this.held = true;
      this.page.set(z);
    });
    input.addEventListener("change", () => { this.held = false; });
    input.addEventListener("dblclick", () => {
      const z = this.page.z.slice();
      z[row.dimension] = this.page.posterior.mean[row.dimension];
      this.page.set(z);
    });
    $("sliders").append(element);
    return row;
  }

  /** Gives a row a dimension: its name, its range, and its histogram. */
  assign(row, dimension) {
    row.dimension = dimension;
    row.name.textContent = `z${dimension + 1}`;
    const { bins } = this.page.content;
    Object.assign(row.input, { min: this.low[dimension], max: this.high[dimension], ariaLabel: `z${dimension + 1}` });
    row.element.title = `dimension ${dimension + 1}: double-click takes it back to the input's`;
    let path = "M0 100";
    for (let bin = 0; bin < bins; bin++) {
      const top = 100 - 100 * this.histogram[dimension * bins + bin] / 255;
      path += `L${100 * bin / bins} ${top}L${100 * (bin + 1) / bins} ${top}`;
    }
    row.path.setAttribute("d", `${path}L100 100Z`);
  }

  shownDimensions() {
    if (!this.local) return this.order.subarray(0, this.count);
    const { z, size } = this.page;
    return Int32Array.from({ length: size }, (_, i) => i).sort((i, j) => Math.abs(z[j]) - Math.abs(z[i]) || i - j)
      .subarray(0, this.count);
  }

  show() {
    const { page } = this;
    press($("here"), this.local);
    $("back").disabled = page.own;
    if (!this.held || this.rows.length !== this.count) {  // what is held in the hand does not change its place
      const shown = this.shownDimensions();
      while (this.rows.length < shown.length) this.rows.push(this.row());
      while (this.rows.length > shown.length) this.rows.pop().element.remove();
      this.rows.forEach((row, i) => { if (row.dimension !== shown[i]) this.assign(row, shown[i]); });
    }
    const { scale, mean } = page.posterior;
    for (const row of this.rows) {
      const i = row.dimension, share = x => 100 * (x - this.low[i]) / (this.high[i] - this.low[i]);
      if (Number(row.input.value) !== page.z[i]) row.input.value = page.z[i];
      row.value.textContent = page.z[i].toFixed(2);
      const from = scale && page.own ? Math.max(0, share(mean[i] - scale[i])) : 0;
      row.band.setAttribute("x", from);
      row.band.setAttribute("width", scale && page.own ? Math.max(0, Math.min(100, share(mean[i] + scale[i])) - from) : 0);
    }
  }
}

/** A plane through the code: all test codes as points on it, the code as the one that is dragged. */
class Plane {
  constructor(page) {
    this.page = page;
    const { centre, axes, cloud, share, kinds_of: kinds, cloud_kind: kind, of_cloud: count } = page.content;
    [this.centre, this.cloud] = [centre, cloud].map(page.array);
    const both = page.array(axes);
    this.axes = [both.subarray(0, page.size), both.subarray(page.size)];
    this.kind = kinds ? page.array(kind) : null;
    this.canvas = $("map");
    this.context = this.canvas.getContext("2d");
    this.pictures = page.size === 2 && page.content.out_shape.length === 3;
    this.flat = false;
    this.off = new Set();
    this.places = page.examples.map(example => this.project(example.code));
    const percent = share.map(each => `${Math.round(100 * each)} %`).join(" + ");
    $("plane-title").textContent = page.size <= 2 ? "" : "Plane of codes";
    $("plane-note").textContent = `${count} test examples` + (page.size > 2 ? `; PCA, ${percent} of the variance` : "");
    $("tapestry").hidden = page.content.out_shape.length !== 3;
    $("flat").hidden = page.size <= 2;
    this.window();
    this.legend(kinds ?? []);
    this.listen();
    new ResizeObserver(() => this.resize()).observe(this.canvas.parentElement);
  }

  /** The part of the plane that is shown: nearly all points, with one scale for both directions. */
  window() {
    const n = this.cloud.length / 2, sorted = axis => Float32Array.from({ length: n }, (_, i) => this.cloud[2 * i + axis]).sort();
    const ends = [0, 1].map(axis => {
      const values = sorted(axis), at = share => values[Math.round(share * (n - 1))];
      return [at(0.003), at(0.997)];
    });
    const span = Math.max(...ends.map(([low, high]) => high - low), 1e-6) * 1.12;
    this.span = span;
    this.corner = [(ends[0][0] + ends[0][1] - span) / 2, (ends[1][0] + ends[1][1] + span) / 2];  // left, top
  }

  legend(kinds) {
    kinds.forEach((name, kind) => {
      const dot = made("i"), chip = made("button", { className: "chip", title: "Show or hide" }, dot, name);
      chip.addEventListener("click", () => {
        this.off.has(kind) ? this.off.delete(kind) : this.off.add(kind);
        chip.classList.toggle("off", this.off.has(kind));
        this.background();
        this.show();
        this.page.parts.find(part => part instanceof Thumbs).filter(this.off);
      });
      $("legend").append(chip);
    });
  }

  recolour() {
    [...$("legend").querySelectorAll("i")].forEach((dot, kind) => { dot.style.background = classColour(kind); });
    this.background();
  }

  listen() {
    const { page, canvas } = this;
    let near = null;
    dragged(canvas, (x, y, event, first) => {
      if (first) near = this.nearest(x, y, 9);
      this.move(this.at(x, y));
    }, (far, x, y) => {
      if (!far && near !== null) page.choose(near);
      this.peek(null);
    });
    canvas.addEventListener("pointermove", event => {
      const box = canvas.getBoundingClientRect();
      const x = (event.clientX - box.left) / box.width, y = (event.clientY - box.top) / box.height;
      this.peek(event.buttons || event.pointerType === "touch" ? null : this.nearest(x, y, 9), x, y);
    });
    canvas.addEventListener("pointerleave", () => this.peek(null));
    canvas.addEventListener("keydown", event => {
      const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
      if (!way) return;
      event.preventDefault();
      const step = this.span * (event.shiftKey ? 0.05 : 0.012), [x, y] = this.project(page.z);
      this.move([x + way[0] * step, y + way[1] * step]);
    });
    $("tapestry").addEventListener("click", () => {
      this.pictures = !this.pictures;
      this.background();
      this.show();
    });
    $("flat").addEventListener("click", () => {
      this.flat = !this.flat;
      page.set(this.flat ? this.lift(this.project(page.z), null) : page.z, page.own && !this.flat);
    });
  }

  project(z) {
    const moved = z.map((value, i) => value - this.centre[i]);
    return this.axes.map(axis => dot(axis, moved));
  }

  /** The code at a place of the plane that goes through `through`, or through the centre. */
  lift([x, y], through) {
    const [px, py] = through ? this.project(through) : [0, 0], base = through ?? this.centre;
    return base.map((value, i) => value + (x - px) * this.axes[0][i] + (y - py) * this.axes[1][i]);
  }

  move(place) {
    this.page.set(Float32Array.from(this.lift(place, this.flat ? null : this.page.z)));
  }

  at(x, y) {
    return [this.corner[0] + x * this.span, this.corner[1] - y * this.span];
  }

  pixel([x, y]) {
    return [(x - this.corner[0]) / this.span * this.side, (this.corner[1] - y) / this.span * this.side];
  }

  /** The example whose point is nearest, if it is not further than so many pixels. */
  nearest(x, y, most) {
    let best = null, least = most;
    this.places.forEach((place, number) => {
      if (this.off.has(this.page.examples[number].kind)) return;
      const [px, py] = this.pixel(place), far = Math.hypot(px - x * this.side, py - y * this.side);
      if (far < least) [best, least] = [number, far];
    });
    return best;
  }

  peek(number, x, y) {
    const peek = $("peek");
    peek.hidden = number === null;
    if (number === null) return;
    this.page.thumbnail(this.page.examples[number].x, peek);
    peek.style.left = `${Math.min(Math.max(x * this.side - 32, 4), this.side - 68)}px`;
    peek.style.top = `${y * this.side > 90 ? y * this.side - 80 : y * this.side + 16}px`;
  }

  resize() {
    this.side = this.canvas.clientWidth;
    this.canvas.width = this.canvas.height = Math.round(this.side * devicePixelRatio);
    this.background();
    this.show();
  }

  /** Draws what does not move: the points, and below them what each place decodes to, a few rows at a time. */
  background() {
    if (!this.side) return;
    const back = this.back = made("canvas", { width: this.canvas.width, height: this.canvas.height });
    const context = back.getContext("2d");
    press($("tapestry"), this.pictures);
    this.key = this.layer();
    if (!this.pictures) return this.points(context, 1);
    const cells = 15, size = back.width / cells, small = made("canvas"), key = this.key;
    let row = 0;
    const paintRow = () => {
      if (this.back !== back || !this.page.z) return;
      const begun = performance.now();
      while (row < cells && performance.now() - begun < 12) {
        for (let column = 0; column < cells; column++) {
          const place = this.at((column + 0.5) / cells, (row + 0.5) / cells);
          const z = Float32Array.from(this.lift(place, this.flat ? null : key.through));
          paint(small, this.page.decode(z), this.page.content.out_shape, this.page.limits);
          context.imageSmoothingEnabled = size < 2 * small.width;
          context.drawImage(small, column * size, row * size, size, size);
        }
        row++;
      }
      if (row < cells) requestAnimationFrame(paintRow);
      else this.points(context, 0.35);
      this.draw();
    };
    requestAnimationFrame(paintRow);
  }

  /** What pictures depend on: the class, and what the code has beside the plane. */
  layer() {
    const { z, label, size } = this.page;
    const rest = !z || this.flat || size <= 2 ? null : this.lift([0, 0], z);
    return { label, rest, through: z };
  }

  changed() {
    const now = this.layer(), { label, rest } = this.key;
    if (now.label !== label || !rest !== !now.rest) return true;
    return Boolean(rest) && rest.some((value, i) => Math.abs(value - now.rest[i]) > 1e-3);
  }

  points(context, opacity) {
    const sharp = this.canvas.width / this.side, radius = (this.cloud.length > 1500 ? 2.2 : 3.2) * sharp;
    context.globalAlpha = opacity;
    for (let i = 0; i < this.cloud.length / 2; i++) {
      if (this.kind && this.off.has(this.kind[i])) continue;
      const [x, y] = this.pixel([this.cloud[2 * i], this.cloud[2 * i + 1]]);
      context.fillStyle = this.kind ? this.colours()[this.kind[i] % 10] : colourOf("--faint");
      context.beginPath();
      context.arc(x * sharp, y * sharp, radius, 0, 7);
      context.fill();
    }
    context.globalAlpha = 1;
    this.palette = null;
  }

  colours() {
    return this.palette ??= Array.from({ length: 10 }, (_, kind) => classColour(kind));
  }

  show() {
    if (!this.back || !this.page.z) return;
    press($("flat"), this.flat);
    if (this.pictures && this.changed()) {
      clearTimeout(this.later);
      this.later = setTimeout(() => this.background(), 150);
    }
    this.draw();
  }

  draw() {
    const c = this.context, sharp = this.canvas.width / this.side;
    c.clearRect(0, 0, this.canvas.width, this.canvas.height);
    c.drawImage(this.back, 0, 0);
    const ring = (z, radius, width, colour) => {
      const [x, y] = this.pixel(this.project(z)).map(each => each * sharp);
      c.beginPath();
      c.arc(x, y, radius * sharp, 0, 7);
      c.lineWidth = width * sharp;
      c.strokeStyle = colour;
      c.stroke();
      return [x, y];
    };
    if (!this.page.own) ring(this.page.posterior.mean, 5, 2, colourOf("--faint"));
    ring(this.page.z, 9, 5, colourOf("--panel"));
    ring(this.page.z, 9, 2.5, colourOf("--accent"));
  }
}

/** The test examples, of which one is the input, or an end of the way between two. */
class Thumbs {
  constructor(page) {
    this.page = page;
    const kinds = page.content.kinds_of;
    const words = !page.isImage && page.values <= 100;
    $("thumbs").classList.toggle("text", words);
    this.buttons = page.examples.map((example, number) => {
      const name = kinds ? `example ${number + 1}: ${kinds[example.kind]}` : `example ${number + 1}`;
      const button = made("button", { title: name, ariaLabel: name });
      words ? button.append(kinds ? `${number + 1} ${kinds[example.kind]}` : `row ${number + 1}`)
        : button.append(page.thumbnail(example.x));
      button.addEventListener("click", () => page.morph.takes(number) || page.choose(number));
      return button;
    });
    $("thumbs").append(...this.buttons);
    $("examples-note").textContent = `${page.examples.length} of them`;
  }

  filter(off) {
    this.buttons.forEach((button, number) => { button.hidden = off.has(this.page.examples[number].kind); });
  }

  recolour() {
    if (this.page.isImage || this.page.values <= 100) return;
    this.buttons.forEach((button, i) => this.page.thumbnail(this.page.examples[i].x, button.firstChild));
  }

  show() {
    this.buttons.forEach((button, number) => button.setAttribute("aria-current", number === this.page.example));
  }
}

/** The way between the codes of two examples, or of what is there now. */
class Morph {
  constructor(page) {
    this.page = page;
    this.armed = null;
    this.arc = false;
    this.share = 0;
    this.frames = Array.from({ length: 9 }, (_, i) => {
      const canvas = made("canvas");
      canvas.addEventListener("click", () => this.go(i / 8));
      return canvas;
    });
    $("strip").append(...this.frames);
    ["first", "second"].forEach((id, end) => $(id).addEventListener("click", () => this.arm(this.armed === end ? null : end)));
    $("between").addEventListener("input", () => this.go(Number($("between").value)));
    $("pair").addEventListener("click", () => this.pair());
    $("play").addEventListener("click", () => this.play(!this.playing));
    $("arc").addEventListener("click", () => {
      this.arc = !this.arc;
      press($("arc"), this.arc);
      this.strip();
      this.go(this.share);
    });
    this.pair(false);
    this.arm(null);
  }

  /** Takes two examples, of different classes where there are some. */
  pair(go = true) {
    const { page } = this, first = page.random();
    let second = page.random();
    for (let i = 0; i < 50; i++) {
      const same = page.examples[first].kind !== null && page.examples[first].kind === page.examples[second].kind;
      if (second !== first && !same) break;
      second = page.random();
    }
    this.ends = [this.end(first), this.end(second)];
    this.strip();
    if (go) this.go(0);
  }

  end(number) {
    const { code, label, x } = this.page.examples[number];
    return { code, label, x };
  }

  arm(end) {
    this.armed = end;
    ["first", "second"].forEach((id, i) => $(id).classList.toggle("armed", i === end));
    $("morph-note").textContent = end === null ? "choose an end, then an example" : "now choose an example below";
  }

  /** Takes an example as the end that was chosen before; returns whether there was one. */
  takes(number) {
    if (this.armed === null) return false;
    this.ends[this.armed] = this.end(number);
    const share = this.armed;
    this.arm(null);
    this.strip();
    this.go(share);
    return true;
  }

  /** The code at a share of the way: along a line, or an arc, whose lengths and angles change evenly. */
  code(share) {
    const [{ code: first }, { code: second }] = this.ends;
    if (!this.arc) return Float32Array.from(mix(first, second, share));
    const long = [first, second].map(code => Math.sqrt(dot(code, code)) || 1e-12);
    const angle = Math.max(1e-4, Math.acos(Math.min(1, Math.max(-1, dot(first, second) / long[0] / long[1]))));
    const weights = [Math.sin((1 - share) * angle) / long[0], Math.sin(share * angle) / long[1]];
    const length = ((1 - share) * long[0] + share * long[1]) / Math.sin(angle);
    return first.map((value, i) => length * (weights[0] * value + weights[1] * second[i]));
  }

  go(share) {
    this.share = share;
    $("between").value = share;
    this.page.label = this.ends[share < 0.5 ? 0 : 1].label;
    this.page.set(this.code(share));
  }

  play(on) {
    this.playing = on;
    $("play").textContent = on ? "stop" : "play";
    const begun = performance.now(), from = this.share >= 1 ? 0 : this.share;
    const step = now => {
      if (!this.playing) return;
      const way = (from + Math.max(0, now - begun) / 2600) % 2;
      this.go(way < 1 ? way : 2 - way);
      requestAnimationFrame(step);
    };
    if (on) requestAnimationFrame(step);
  }

  strip() {
    const { page } = this, label = page.label;
    ["first", "second"].forEach((id, i) => $(id).replaceChildren(page.thumbnail(this.ends[i].x)));
    this.frames.forEach((canvas, i) => {
      page.label = this.ends[i < 4 ? 0 : 1].label;
      page.thumbnail(page.decode(this.code(i / 8)), canvas);
    });
    page.label = label;
  }

  recolour() {
    if (!this.page.isImage) this.strip();
  }

  show() {}
}
