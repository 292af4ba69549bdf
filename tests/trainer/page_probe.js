// Uses the page as a reader does, and tells what is seen after every step.
const seen = {};
const wait = (time) => new Promise((done) => setTimeout(done, time));
const element = (id) => document.getElementById(id);

async function rest() {
  do await wait(5);
  while (element("picture").getAttribute("aria-busy") !== "false");
}

async function look(name) {
  await rest();
  const canvas = element("canvas");
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  const rows = [...element("metrics").rows].map((row) => [...row.cells].map((cell) => cell.textContent));
  const warning = document.querySelector(".warning").getBoundingClientRect();
  seen[name] = {
    scrolled: scrollY,
    size: [canvas.height, canvas.width],
    colors: Array.from({ length: data.length / 4 }, (_, k) => [...data.slice(4 * k, 4 * k + 3)]),
    rows,
    told: canvas.getAttribute("aria-label"),
    divider: element("divider").style.left,
    legend: element("legend").innerText,
    warned: warning.width > 0 && warning.top >= 0 && warning.bottom <= innerHeight,
  };
}

function put(id, value, kind) {
  element(id).value = value;
  element(id).dispatchEvent(new Event(kind, { bubbles: true }));
}

const press = (group, value) => [...element(group).children].find((one) => one.value === value).click();

function dragTo(part) {
  const { left, top, width, height } = element("picture").getBoundingClientRect();
  const send = (kind, x, buttons) =>
    element("picture").dispatchEvent(
      new PointerEvent(kind, {
        pointerId: 1, pointerType: "mouse", buttons, bubbles: true,
        clientX: left + x * width, clientY: top + height / 2,
      }),
    );
  send("pointerdown", 0.5, 1);
  send("pointermove", part, 1);
  send("pointerup", part, 0);
  send("pointermove", 0.9, 0); // the button is up: nothing follows
}

async function probe() {
  await rest();
  put("window", 100, "input"); // greys as they are stored
  await look("first");
  put("slice", 0, "input");
  await look("slice");
  document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight", bubbles: true }));
  await look("key");
  press("acceleration", "8");
  await look("acceleration");
  dragTo(0.25);
  await look("dragged");
  put("split", 0.75, "input");
  await look("split");
  put("right", "truth", "change");
  await look("truth");
  press("overlay", "error");
  await look("no error");
  press("over", "both");
  await look("errors");
  press("overlay", "std");
  await look("std");
  put("volume", 1, "change");
  await look("volume");
  await wait(500);
  seen.address = location.hash;
  location.hash = "#volume=0&slice=2&acceleration=4&left=truth&right=sample&split=0.5&overlay=none&window=100";
  await wait(50);
  await look("linked");
  location.hash = "#volume=99&slice=x&acceleration=3&left=%3Cb%3E&right=__proto__&split=-4&overlay=&gain=Infinity";
  await wait(50);
  await look("nonsense");
  seen.options = [...element("volume").options].map((option) => option.textContent);
  seen.markup = document.querySelectorAll("b").length;
  window.scrollTo(0, document.body.scrollHeight);
  await look("scrolled");
  tell(seen);
}
probe();
