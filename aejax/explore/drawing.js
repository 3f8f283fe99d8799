/* Draws arrays on canvases, and makes arrays of drawings. */

/** Draws an example of shape [h, w, channels] on a canvas, grey levels between the two limits. */
function paint(canvas, values, shape, [low, high]) {
  const [h, w, channels] = shape, colour = channels === 3;
  const across = channels === 1 || colour ? 1 : Math.ceil(Math.sqrt(channels));  // others side by side, each in grey
  const down = colour ? 1 : Math.ceil(channels / across);
  canvas.width = w * across;
  canvas.height = h * down;
  const context = canvas.getContext("2d"), image = context.createImageData(canvas.width, canvas.height);
  const level = i => 255 * (values[i] - low) / (high - low);
  for (let y = 0; y < canvas.height; y++) for (let x = 0; x < canvas.width; x++) {
    const at = 4 * (y * canvas.width + x), pixel = ((y % h) * w + (x % w)) * channels;
    const channel = Math.floor(y / h) * across + Math.floor(x / w);
    for (let c = 0; c < 3; c++) image.data[at + c] = channel < channels ? level(pixel + (colour ? c : channel)) : 128;
    image.data[at + 3] = 255;
  }
  context.putImageData(image, 0, 0);
}

/** Draws an example of any shape as a small picture: an image as it is, other values as a line. */
function thumbnail(canvas, values, shape, limits, colour) {
  if (shape.length === 3) return paint(canvas, values, shape, limits);
  canvas.width = canvas.height = 64;
  line(canvas.getContext("2d"), values, limits, 64, 64, colour);
}

/** Draws values as a line from left to right, within the limits: two numbers, or two arrays of them. */
function line(context, values, [low, high], width, height, colour) {
  const at = (limit, i) => (typeof limit === "number" ? limit : limit[i]);
  context.strokeStyle = colour;
  context.lineWidth = 1.5;
  context.lineJoin = "round";
  context.beginPath();
  for (let i = 0; i < values.length; i++) {
    const share = (values[i] - at(low, i)) / (at(high, i) - at(low, i) || 1);
    context.lineTo((i + 0.5) / values.length * width, height - 4 - share * (height - 8));
  }
  context.stroke();
}

/** Holds a drawing: strokes over an example or over an empty image, in many small points for each of its pixels. */
class Drawing {
  constructor(shape, limits, ground) {
    [this.h, this.w, this.channels] = shape;
    this.limits = limits;
    this.ground = ground;  // the value of an empty image
    this.points = Math.max(2, Math.min(10, Math.round(400 / Math.max(this.h, this.w))));  // of a pixel, on each side
    this.layer = document.createElement("canvas");
    this.layer.width = this.w * this.points;
    this.layer.height = this.h * this.points;
    this.context = this.layer.getContext("2d", { willReadFrequently: true });
    this.strokes = [];
    this.base = null;
  }

  /** Begins anew on an example, or on an empty image. */
  begin(base) {
    this.base = base;
    this.strokes = [];
    this.redraw();
  }

  /** Adds a stroke of points [x, y], whose unit is the image's width and height. */
  add(stroke) {
    this.strokes.push(stroke);
    this.trace(stroke);
  }

  /** Makes the last stroke longer. */
  extend(point) {
    const stroke = this.strokes.at(-1);
    stroke.points.push(point);
    this.trace({ ...stroke, points: stroke.points.slice(-2) });
  }

  undo() {
    this.strokes.pop();
    this.redraw();
  }

  redraw() {
    this.context.clearRect(0, 0, this.layer.width, this.layer.height);
    this.strokes.forEach(stroke => this.trace(stroke));
  }

  trace({ points, width, colour }) {
    const c = this.context, { width: w, height: h } = this.layer;
    c.strokeStyle = colour;
    c.lineWidth = width * Math.max(w, h);
    c.lineCap = c.lineJoin = "round";
    c.beginPath();
    points.forEach(([x, y]) => c.lineTo(x * w, y * h));
    if (points.length === 1) c.lineTo(points[0][0] * w + 0.01, points[0][1] * h);
    c.stroke();
  }

  /** The image of the model's shape: what is drawn covers the example below it, by its share of each pixel.

      `move` says from where a pixel takes its values: {scale, x, y}, in pixels; null leaves all in its place. */
  values(move = null) {
    const { h, w, channels, points, limits: [low, high] } = this, out = new Float32Array(h * w * channels);
    const wide = this.layer.width, tall = this.layer.height;
    const data = this.context.getImageData(0, 0, wide, tall).data;
    const { scale, x: dx, y: dy } = move ?? { scale: 1, x: 0, y: 0 };
    const step = Math.max(1, Math.round(points / 5));
    for (let y = 0; y < h; y++) for (let x = 0; x < w; x++) {
      const sum = [0, 0, 0];
      let cover = 0, count = 0;
      for (let v = step >> 1; v < points; v += step) for (let u = step >> 1; u < points; u += step) {
        const px = Math.floor(((x + u / points) * scale + dx) * points);
        const py = Math.floor(((y + v / points) * scale + dy) * points);
        count++;
        if (px < 0 || py < 0 || px >= wide || py >= tall) continue;
        const at = 4 * (py * wide + px), alpha = data[at + 3] / 255;
        cover += alpha;
        for (let c = 0; c < 3; c++) sum[c] += alpha * data[at + c] / 255;
      }
      for (let c = 0; c < channels; c++) {
        const i = (y * w + x) * channels + c, below = this.base ? this.base[i] : this.ground;
        const drawn = channels === 1 ? sum[0] : sum[c];
        out[i] = (1 - cover / count) * below + (drawn / count) * (high - low) + (cover / count) * low;
      }
    }
    return out;
  }

  /** From where pixels are to be taken so that the drawing is as large as examples are, and in the same place. */
  fitted(frame) {
    const ink = inked(this.values(), this.h, this.w, towards(this.ground, this.limits));
    if (!ink || !ink.size) return null;
    const scale = ink.size / frame.size;
    return { scale, x: ink.x - frame.x * scale, y: ink.y - frame.y * scale };
  }
}

/** The limits in the order from empty to drawn. */
const towards = (ground, [low, high]) => (ground === low ? [low, high] : [high, low]);

/** Which of the limits is nearer to the edges of examples: what an empty image is of. */
function groundOf(examples, [h, w, channels], [low, high]) {
  let sum = 0, count = 0;
  for (const values of examples) for (let y = 0; y < h; y++) for (let x = 0; x < w; x++) {
    if (x % (w - 1) && y % (h - 1)) continue;
    for (let c = 0; c < channels; c++, count++) sum += values[(y * w + x) * channels + c];
  }
  return sum / count > (low + high) / 2 ? high : low;
}

/** Where the ink of a grey image is: its centre, and the longer side of the box around it, in pixels. */
function inked(values, h, w, [empty, full]) {
  let sum = 0, x = 0, y = 0, left = w, right = -1, top = h, bottom = -1;
  for (let i = 0; i < h * w; i++) {
    const ink = (values[i] - empty) / (full - empty), column = i % w, row = Math.floor(i / w);
    sum += ink;
    x += ink * (column + 0.5);
    y += ink * (row + 0.5);
    if (ink > 0.3) {
      left = Math.min(left, column); right = Math.max(right, column);
      top = Math.min(top, row); bottom = Math.max(bottom, row);
    }
  }
  return right < 0 ? null : { x: x / sum, y: y / sum, size: Math.max(right - left, bottom - top) + 1 };
}

/** The size and centre that all examples share, where they do: {size, x, y}, in pixels, else null. */
function sharedFrame(examples, h, w, ends) {
  const found = examples.map(values => inked(values, h, w, ends)).filter(Boolean);
  if (found.length < examples.length * 0.9 || !found.length) return null;
  const mean = key => found.reduce((sum, each) => sum + each[key], 0) / found.length;
  const frame = { size: mean("size"), x: mean("x"), y: mean("y") };
  const apart = key => Math.sqrt(found.reduce((sum, each) => sum + (each[key] - frame[key]) ** 2, 0) / found.length);
  const fits = apart("x") < 0.03 * w && apart("y") < 0.03 * h && apart("size") < 0.06 * Math.max(h, w);
  return fits && frame.size < 0.95 * Math.max(h, w) ? frame : null;
}
