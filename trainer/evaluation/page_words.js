// What the page says of the view: captions, colour bar, table.

const SHORT = { none: "", error: "|error| of ", std: "std of samples" };

function tellSide(side) {
  const method = state[side];
  const shown = view().methods[method];
  const over = overlaid(side) ? SHORT[state.overlay] : "";
  at(`${side}-name`).textContent = over === SHORT.std ? over : over + page.methods[method];
  at(`${side}-score`).textContent =
    shown && over !== SHORT.std ? `${shown.psnr[place()]} dB, SSIM ${shown.ssim[place()]}` : "";
}

function tell() {
  const { fname, acquisition, num_slices, maximum } = volume();
  tellSide("left");
  tellSide("right");
  const told = `slice ${state.slice}`;
  const achieved = `achieved ×${view().achieved.toFixed(1)}`;
  at("slice-told").textContent = `${state.slice} (of 0 to ${num_slices - 1})`;
  at("slice").setAttribute("aria-valuetext", told);
  at("achieved").textContent = achieved;
  at("where").textContent = `${fname}, ${acquisition}, ${told}, ×${state.acceleration} (${achieved})`;
  at("window-told").textContent = `0 to ${state.window} %`;
  const sides = `Left: ${at("left-name").textContent}. Right: ${at("right-name").textContent}.`;
  at("canvas").setAttribute("aria-label", `${at("where").textContent}. ${sides}`);
  at("holds").textContent =
    `It holds ${page.volumes.length} of ${page.volumes_in_all} validated volumes, and of this one ` +
    `${volume().slices.length} of ${num_slices} slices. The largest value of its truth is ` +
    `${maximum.toExponential(2)}, in the file's units.`;
  tellLegend(maximum);
}

const MEANS = {
  none: "Intensity",
  error: "|method - truth|",
  std: "Standard deviation of the samples",
};

/** The colour bar: of the overlay, or else of the pictures. */
function tellLegend(maximum) {
  const { overlay, gain, window } = state;
  drawBar(at("bar"), overlay === "none" ? grayLayer([], 255).colors : page.colors[overlay]);
  const top = overlay === "none" ? window : 100 / gain;
  at("bar-middle").textContent = `${+(top / 2).toFixed(2)} %`;
  at("bar-top").textContent = `${+top.toFixed(2)} %`;
  at("legend-told").textContent =
    `${MEANS[overlay]}, in percent of the largest value of the volume's truth, ${maximum.toExponential(2)}`;
}

/** A row of the table: its title, then a text for every method. */
function row(title, texts, kind = "") {
  const line = document.createElement("tr");
  line.className = kind;
  const head = document.createElement("th");
  head.textContent = title;
  head.scope = "row";
  if (kind === "group") head.colSpan = Object.keys(view().methods).length + 1;
  line.append(head);
  for (const text of texts) line.append(Object.assign(document.createElement("td"), { textContent: text }));
  return line;
}

function tabulate() {
  const { methods, measures } = view();
  const names = Object.keys(methods);
  const head = document.createElement("tr");
  head.append(document.createElement("td"));
  for (const name of names) {
    const cell = document.createElement("th");
    cell.scope = "col";
    cell.textContent = page.methods[name];
    cell.className = name === state.left ? "left" : name === state.right ? "right" : "";
    head.append(cell);
  }
  const body = document.createElement("tbody");
  const slice = (score) => names.map((name) => methods[name][score][place()]);
  body.append(row(`This slice, ${state.slice}`, [], "group"), row("PSNR [dB]", slice("psnr")));
  body.append(row("SSIM", slice("ssim")), row("This volume", [], "group"));
  body.append(...measures.map(({ title, values }) => row(title, names.map((name) => values[name] ?? "-"))));
  const top = document.createElement("thead");
  top.append(head);
  at("metrics").replaceChildren(top, body);
}
