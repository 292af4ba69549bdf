// What is shown, and the controls that choose it.

const at = (id) => document.getElementById(id);
const page = JSON.parse(at("data").textContent);
const sampled = Boolean(Object.values(page.volumes[0].views)[0].std);
const GAINS = [1, 2, 4, 8, 16];

let state = {}; // by the names that the address has

const volume = () => page.volumes[state.volume];
const view = () => volume().views[state.acceleration];
const place = () => volume().slices.indexOf(state.slice); // of the slice among those that the page holds
const onlySide = (side) => side === "left" && state.over === "right";
const overlaid = (side) => state.overlay !== "none" && !onlySide(side);

/** The state that is nearest to what is wanted, by texts or numbers: whatever an address says can be shown. */
function settle(wanted) {
  const number = (name, low, high, other) => {
    const given = wanted[name] === undefined || wanted[name] === "" ? NaN : Number(wanted[name]);
    return Number.isFinite(given) ? Math.min(Math.max(given, low), high) : other;
  };
  const among = (name, allowed, other) =>
    allowed.find((value) => String(value) === String(wanted[name])) ?? other;
  const chosen = Math.round(number("volume", 0, page.volumes.length - 1, 0));
  const { slices, num_slices, window } = page.volumes[chosen];
  const slice = number("slice", 0, num_slices - 1, slices[Math.floor(slices.length / 2)]);
  const nearest = (best, other) => (Math.abs(other - slice) < Math.abs(best - slice) ? other : best);
  const methods = Object.keys(page.methods);
  const right = page.best === "zero_filled" ? "truth" : page.best;
  state = {
    volume: chosen,
    slice: slices.reduce(nearest),
    acceleration: among("acceleration", page.accelerations, page.accelerations[0]),
    left: among("left", methods, "zero_filled"),
    right: among("right", methods, right),
    split: number("split", 0, 1, 0.5),
    overlay: among("overlay", sampled ? ["none", "error", "std"] : ["none", "error"], "none"),
    over: among("over", ["right", "both"], "right"),
    gain: among("gain", GAINS, page.gain),
    window: Math.round(number("window", 5, 100, Math.max(100 * window, 5))), // percent
  };
}

/** Change a part of the state and show the rest as it was; another volume has a window of its own. */
function change(part) {
  const window = "volume" in part ? undefined : state.window;
  settle({ ...state, window, ...part });
  show();
}

// --- drawing

/** The picture of a side, or what is laid over it. */
async function layer(side) {
  const k = place();
  const over = overlaid(side);
  if (over && state.overlay === "std") {
    return mapLayer(await decode(view().std[k]), state.gain, page.colors.std);
  }
  const picture = (name) => (name === "truth" ? volume().truth : view().methods[name].pictures)[k];
  const values = await decode(picture(state[side]));
  if (!over) return grayLayer(values, 2.55 * state.window);
  const error = difference(values, await decode(volume().truth[k]));
  return mapLayer(error, state.gain, page.colors.error);
}

let turn = 0;

async function draw() {
  const mine = ++turn;
  at("picture").setAttribute("aria-busy", "true");
  const [left, right] = await Promise.all([layer("left"), layer("right")]);
  if (mine !== turn) return; // another view was asked for meanwhile
  const { shape } = volume();
  const column = Math.round(state.split * shape[1]); // the divider stands between pixels
  compose(at("canvas"), shape, left, right, column);
  at("divider").style.left = `${(100 * column) / shape[1]}%`;
  document.documentElement.style.setProperty("--ratio", shape[1] / shape[0]);
  at("picture").setAttribute("aria-busy", "false");
}

// --- controls

/** Buttons of which one is pressed. */
function fillButtons(name, titles) {
  for (const [value, title] of titles) {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: title });
    button.value = value;
    button.addEventListener("click", () => change({ [name]: value }));
    at(name).append(button);
  }
}

function fillSelect(name, titles) {
  for (const [value, title] of titles) at(name).add(new Option(title, value)); // a text, never markup
  at(name).addEventListener("change", () => change({ [name]: at(name).value }));
}

function fill() {
  at("run").textContent = page.run;
  fillSelect("volume", page.volumes.map(({ fname, acquisition }, k) => [k, `${fname}, ${acquisition}`]));
  fillButtons("acceleration", page.accelerations.map((acceleration) => [acceleration, `×${acceleration}`]));
  for (const side of ["left", "right"]) fillSelect(side, Object.entries(page.methods));
  fillButtons("overlay", [["none", "none"], ["error", "|error|"], ...(sampled ? [["std", "std"]] : [])]);
  fillButtons("over", [["right", "right side"], ["both", "both sides"]]);
  fillSelect("gain", GAINS.map((gain) => [gain, `${gain}, up to ${100 / gain} %`]));
  at("slice").addEventListener("input", () => change({ slice: volume().slices[at("slice").value] }));
  for (const name of ["split", "window"]) {
    at(name).addEventListener("input", () => change({ [name]: at(name).value }));
  }
}

/** Controls as the state has it. */
function set() {
  at("slice").max = volume().slices.length - 1;
  at("slice").value = place();
  for (const name of ["volume", "left", "right", "gain", "split", "window"]) at(name).value = state[name];
  for (const name of ["acceleration", "overlay", "over"]) {
    for (const button of at(name).children) {
      button.setAttribute("aria-pressed", String(button.value === String(state[name])));
    }
  }
  for (const control of [...at("over").children, at("gain")]) control.disabled = state.overlay === "none";
}

function drag(event) {
  const { left, width } = at("picture").getBoundingClientRect();
  change({ split: Math.min(Math.max((event.clientX - left) / width, 0), 1).toFixed(3) });
}

function listen() {
  const picture = at("picture");
  let dragging = false;
  picture.addEventListener("pointerdown", (event) => {
    dragging = event.button === 0;
    if (!dragging) return;
    picture.setPointerCapture(event.pointerId); // so that it goes on outside, and ends there
    drag(event);
  });
  picture.addEventListener("pointermove", (event) => dragging && drag(event));
  for (const end of ["pointerup", "pointercancel"]) picture.addEventListener(end, () => (dragging = false));
  document.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const other = event.altKey || event.ctrlKey || event.metaKey || event.shiftKey; // alt and ← goes back
    if (!step || other || event.target.closest("input, select, .scroll")) return; // they have their own arrows
    const next = volume().slices[place() + step];
    if (next !== undefined) change({ slice: next });
  });
  window.addEventListener("hashchange", follow);
}

// --- the address

let waiting;

/** Keep the state in the address, once it rests: browsers refuse many changes in a row. */
function remember() {
  clearTimeout(waiting);
  waiting = setTimeout(() => history.replaceState(null, "", `#${new URLSearchParams(state)}`), 200);
}

function follow() {
  settle(Object.fromEntries(new URLSearchParams(location.hash.slice(1))));
  show();
}

function show() {
  set();
  tell();
  tabulate();
  draw();
  remember();
}

fill();
listen();
follow();
