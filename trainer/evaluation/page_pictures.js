// Pictures: decoded, coloured, and put together at the divider.

const KEPT = 48; // decoded pictures: all of a slice and of its neighbours
const decoded = new Map();

/** The 8-bit values of a PNG in base64, row by row: a promise. */
function decode(png) {
  if (!decoded.has(png)) {
    if (decoded.size >= KEPT) decoded.delete(decoded.keys().next().value);
    decoded.set(png, read(png));
  }
  return decoded.get(png);
}

async function read(png) {
  const image = new Image();
  image.src = "data:image/png;base64," + png;
  await image.decode();
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
  return Uint8Array.from({ length: data.length / 4 }, (_, k) => data[4 * k]);
}

// A layer is values of 8 bits and the colour of each: red, green and blue, 256 times.

/** Grey from 0 to `top` (of 255). */
function grayLayer(values, top) {
  const colors = Uint8ClampedArray.from({ length: 768 }, (_, k) => (255 * Math.floor(k / 3)) / top);
  return { values, colors };
}

/** Values so many times larger, in the colours of a map. */
function mapLayer(values, gain, colors) {
  return { values: Uint8ClampedArray.from(values, (value) => value * gain), colors };
}

function difference(one, other) {
  return one.map((value, k) => Math.abs(value - other[k]));
}

/** Draw two layers on a canvas, the left one up to a column. */
function compose(canvas, shape, left, right, column) {
  const [height, width] = shape;
  [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext("2d");
  const drawn = context.createImageData(width, height);
  for (let k = 0; k < width * height; k++) {
    const { values, colors } = k % width < column ? left : right;
    for (let c = 0; c < 3; c++) drawn.data[4 * k + c] = colors[3 * values[k] + c];
    drawn.data[4 * k + 3] = 255;
  }
  context.putImageData(drawn, 0, 0);
}

/** A colour bar, from the least to the most. */
function drawBar(canvas, colors) {
  const ramp = { values: Uint8Array.from({ length: 256 }, (_, k) => k), colors };
  compose(canvas, [1, 256], ramp, ramp, 256);
}
