// The page: a photo goes to the service, its mask comes back, and is painted here.

const $ = (id) => document.getElementById(id);
const canvas = $("picture");
const brush = canvas.getContext("2d", { willReadFrequently: true });

// Bright, and told apart also by most who see colours differently; then they start over.
const COLOURS = [
  "#ff5a36", "#2f9bff", "#ffc400", "#19c37d", "#b45cff", "#ff4fa3", "#00c2d1", "#a3d900",
  "#ff8a00", "#6a7bff", "#e0c097", "#00a67d", "#ff7f7f", "#8fd3ff", "#c98bff", "#7fe0b0",
];
const MOST_PIXELS = 4_000_000; // that are painted; a larger photo is shown smaller

const state = {
  models: [],
  photo: null, // Blob that was sent
  name: "photo",
  bitmap: null, // of the photo, upright
  result: null, // the service's JSON
  mask: null, // {data, width, height}: label indices, of the photo's size
  confidence: null, // likewise, 0..255, of the model's size; null until it is asked for
  off: new Set(), // indices that are not painted
  pointer: null, // [x, y] of the photo
  stream: null, // of the camera
  turn: 0, // of requests: an answer that is late is dropped
};

// ---- The service

async function ask(output, more = {}) {
  const query = new URLSearchParams({ output, model: $("model").value, ...more });
  const answer = await fetch(`v1/segment?${query}`, { method: "POST", body: state.photo });
  if (!answer.ok) {
    const problem = await answer.json().catch(() => ({}));
    throw new Error(problem.detail || `the service answered ${answer.status}`);
  }
  return answer;
}

async function bytesOf(blob) {
  const bitmap = await createImageBitmap(blob, { colorSpaceConversion: "none" });
  const surface = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = surface.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  const { data } = context.getImageData(0, 0, bitmap.width, bitmap.height);
  const grey = new Uint8Array(bitmap.width * bitmap.height);
  for (let i = 0; i < grey.length; i++) grey[i] = data[4 * i];
  return { data: grey, width: bitmap.width, height: bitmap.height };
}

async function segment(photo, name) {
  const turn = ++state.turn;
  Object.assign(state, { photo, name, confidence: null, pointer: null });
  document.body.classList.add("busy");
  try {
    const [bitmap, json] = await Promise.all([
      createImageBitmap(photo, { imageOrientation: "from-image" }),
      ask("json", { mask: "true" }).then((answer) => answer.json()),
    ]);
    const mask = await fetch(`data:image/png;base64,${json.mask_png}`)
      .then((answer) => answer.blob()).then(bytesOf);
    if (turn !== state.turn) return;
    Object.assign(state, { bitmap, result: json, mask });
    say("");
    show();
  } catch (error) {
    if (turn === state.turn) say(error.message);
  } finally {
    if (turn === state.turn) document.body.classList.remove("busy");
  }
}

// ---- What is seen

function say(text) {
  $("message").textContent = text;
  $("message").hidden = !text;
}

const colourOf = (index) => COLOURS[index % COLOURS.length];
const isBackground = (label) => label.toUpperCase() === "BACKGROUND";
const rgb = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));

function show() {
  $("drop").hidden = true;
  $("view").hidden = $("panel").hidden = false;
  paint();
  legend();
  timings();
  lines();
  point();
}

function paint() {
  const { bitmap, mask } = state;
  if (!mask) return;
  const scale = Math.min(1, Math.sqrt(MOST_PIXELS / (mask.width * mask.height)));
  const width = Math.max(1, Math.round(mask.width * scale));
  const height = Math.max(1, Math.round(mask.height * scale));
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  brush.drawImage(bitmap, 0, 0, width, height);
  const pixels = brush.getImageData(0, 0, width, height);
  const alpha = $("opacity").value / 100;
  const table = new Map(state.result.labels.map((entry) => [
    entry.index, state.off.has(entry.index) ? null : rgb(colourOf(entry.index)),
  ]));
  for (let y = 0; y < height; y++) {
    const row = Math.floor(((y + 0.5) * mask.height) / height) * mask.width;
    for (let x = 0; x < width; x++) {
      const colour = table.get(mask.data[row + Math.floor(((x + 0.5) * mask.width) / width)]);
      if (!colour) continue;
      const at = 4 * (y * width + x);
      for (let c = 0; c < 3; c++) {
        pixels.data[at + c] += alpha * (colour[c] - pixels.data[at + c]);
      }
    }
  }
  brush.putImageData(pixels, 0, 0);
  if (state.pointer) cross(scale);
}

function cross(scale) {
  const [x, y] = state.pointer.map((at) => (at + 0.5) * scale);
  const reach = Math.max(8, canvas.width / 60);
  for (const [style, width] of [["#000", 5], ["#fff", 2]]) {
    brush.strokeStyle = style;
    brush.lineWidth = (width * canvas.width) / Math.max(1, canvas.clientWidth);
    brush.beginPath();
    brush.moveTo(x - reach, y); brush.lineTo(x + reach, y);
    brush.moveTo(x, y - reach); brush.lineTo(x, y + reach);
    brush.stroke();
  }
}

function legend() {
  const items = state.result.labels.map(({ label, index, share, box }) => {
    const item = document.createElement("li");
    const row = document.createElement("label");
    const tick = Object.assign(document.createElement("input"), {
      type: "checkbox", checked: !state.off.has(index),
    });
    tick.addEventListener("change", () => {
      state.off[tick.checked ? "delete" : "add"](index);
      paint();
    });
    const swatch = Object.assign(document.createElement("span"), { className: "swatch" });
    swatch.style.background = colourOf(index);
    const name = Object.assign(document.createElement("span"), { className: "name", textContent: label });
    const amount = Object.assign(document.createElement("span"), {
      className: "share", title: `box ${box.join(", ")}`,
      textContent: `${(100 * share).toFixed(1)} % box ${box.join(" ")}`,
    });
    row.append(tick, swatch, name, amount);
    item.append(row);
    return item;
  });
  $("legend").replaceChildren(...items);
}

function timings() {
  const entries = Object.entries(state.result.timings_ms);
  const most = Math.max(...entries.map(([, ms]) => ms), 0.001);
  const rows = entries.map(([stage, ms]) => {
    const row = document.createElement("tr");
    const head = Object.assign(document.createElement("th"), { scope: "row", textContent: stage });
    const number = Object.assign(document.createElement("td"), { textContent: `${ms.toFixed(1)} ms` });
    const bar = Object.assign(document.createElement("td"), { className: "bar" });
    const length = document.createElement("span");
    length.style.width = `${(100 * ms) / most}%`;
    bar.append(length);
    row.append(head, number, bar);
    return row;
  });
  $("timings").tBodies[0].replaceChildren(...rows);
}

function lines() {
  const url = new URL(`v1/segment?model=${encodeURIComponent($("model").value)}`, location.href);
  $("curl").textContent = `curl --data-binary @${state.name} '${url}'`;
  const name = JSON.stringify($("model").value);
  const known = state.models.find((model) => model.name === $("model").value)?.in_catalogue;
  $("python").textContent =
    `import etseg\n\nmodule = etseg.ImageSegmentationModule()\n` +
    `module.load(${known ? `etseg.CATALOGUE[${name}]` : name.replace(/"$/, '.pte"')})\n` +
    `result = module.forward(${JSON.stringify(state.name)}, resize=True)\nprint(result.areas())`;
}

// ---- The pointer

function labelAt(x, y) {
  const index = state.mask.data[y * state.mask.width + x];
  return state.result.labels.find((entry) => entry.index === index)?.label ?? `label ${index}`;
}

function point() {
  if (!state.pointer) {
    $("pointer").textContent = "Move over the picture to read its labels.";
    return;
  }
  const [x, y] = state.pointer;
  let text = `${labelAt(x, y)} at ${x}, ${y}`;
  const map = state.confidence;
  if (map) {
    const column = Math.floor(((x + 0.5) * map.width) / state.mask.width);
    const row = Math.floor(((y + 0.5) * map.height) / state.mask.height);
    text += `, probability ${(map.data[row * map.width + column] / 255).toFixed(2)}`;
  }
  $("pointer").textContent = text;
}

async function needConfidence() {
  if (state.confidence || state.stream || state.asking === state.turn) return;
  const turn = (state.asking = state.turn);
  try {
    const map = await ask("confidence").then((answer) => answer.blob()).then(bytesOf);
    if (turn === state.turn) { state.confidence = map; point(); }
  } catch { /* the label is there all the same */ }
}

canvas.addEventListener("pointermove", (event) => {
  if (!state.mask) return;
  const area = canvas.getBoundingClientRect();
  const { width, height } = state.mask;
  // The picture is as large as it fits, in the middle of its area.
  const scale = Math.min(area.width / width, area.height / height);
  const at = (offset, size, most) =>
    Math.min(most - 1, Math.max(0, Math.floor((offset - size / 2) / scale + most / 2)));
  state.pointer = [
    at(event.clientX - area.left, area.width, width),
    at(event.clientY - area.top, area.height, height),
  ];
  point();
  needConfidence();
});

canvas.addEventListener("keydown", (event) => {
  const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
  if (!move || !state.mask) return;
  event.preventDefault();
  const { width, height } = state.mask;
  const step = Math.max(1, Math.round(Math.max(width, height) / (event.shiftKey ? 10 : 50)));
  const [x, y] = state.pointer ?? [width >> 1, height >> 1];
  state.pointer = [
    Math.min(width - 1, Math.max(0, x + step * move[0])),
    Math.min(height - 1, Math.max(0, y + step * move[1])),
  ];
  paint();
  point();
  needConfidence();
});

// ---- Photos in

function take(file) {
  if (!file) return;
  stopCamera();
  state.off.clear();
  segment(file, file.name || "photo.png").then(hideBackground);
}

// Once a photo: everything painted is nothing seen.
function hideBackground() {
  for (const { label, index } of state.result?.labels ?? []) {
    if (isBackground(label)) state.off.add(index);
  }
  if (state.result) { paint(); legend(); }
}

$("choose").addEventListener("click", () => $("file").click());
$("another").addEventListener("click", () => $("file").click());
$("file").addEventListener("change", () => { take($("file").files[0]); $("file").value = ""; });
addEventListener("paste", (event) => take([...event.clipboardData.files].find((f) => f.type.startsWith("image/"))));
addEventListener("dragover", (event) => { event.preventDefault(); document.body.classList.add("over"); });
addEventListener("dragleave", () => document.body.classList.remove("over"));
addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("over");
  take(event.dataTransfer.files[0]);
});

// ---- The camera

async function startCamera() {
  try {
    state.stream = await navigator.mediaDevices.getUserMedia({ video: { width: 640, height: 480 } });
  } catch (error) {
    say(`the camera cannot be used: ${error.message}`);
    return;
  }
  $("live").setAttribute("aria-pressed", "true");
  const video = $("video");
  video.srcObject = state.stream;
  await video.play();
  const frame = new OffscreenCanvas(1, 1);
  let first = true;
  while (state.stream) { // one frame at a time: as fast as the service answers, and no faster
    Object.assign(frame, { width: video.videoWidth, height: video.videoHeight });
    frame.getContext("2d").drawImage(video, 0, 0);
    const photo = await frame.convertToBlob({ type: "image/jpeg", quality: 0.85 });
    if (!state.stream) break;
    await segment(photo, "frame.jpg");
    if (first && state.result) { hideBackground(); first = false; }
    if (!$("message").hidden) await new Promise((done) => setTimeout(done, 1000));
  }
}

function stopCamera() {
  state.stream?.getTracks().forEach((track) => track.stop());
  state.stream = null;
  $("live").setAttribute("aria-pressed", "false");
}

$("camera").addEventListener("click", startCamera);
$("live").addEventListener("click", () => (state.stream ? stopCamera() : startCamera()));

// ---- What goes out

function save(blob, name) {
  const link = Object.assign(document.createElement("a"), {
    href: URL.createObjectURL(blob), download: name,
  });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

const downloads = {
  overlay: () => new Promise((done) => canvas.toBlob(done, "image/png")),
  cutout: () => {
    const shown = state.result.labels.filter(({ label, index }) => !isBackground(label) && !state.off.has(index));
    if (!shown.length) throw new Error("no label is switched on that could be cut out");
    const largest = shown.reduce((a, b) => (b.share > a.share ? b : a));
    return ask("cutout", { label: largest.label }).then((answer) => answer.blob());
  },
  mask: () => ask("mask").then((answer) => answer.blob()),
  json: () => ask("json", { rle: "true" }).then((answer) => answer.blob()),
};

for (const button of document.querySelectorAll("[data-download]")) {
  button.addEventListener("click", async () => {
    const kind = button.dataset.download;
    const stem = state.name.replace(/\.[^.]*$/, "");
    try {
      save(await downloads[kind](), `${stem}-${kind}.${kind === "json" ? "json" : "png"}`);
    } catch (error) {
      say(error.message);
    }
  });
}

for (const button of document.querySelectorAll("[data-copy]")) {
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText($(button.dataset.copy).textContent);
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = "Copy"), 1500);
  });
}

// ---- The rest

$("opacity").addEventListener("input", () => {
  $("percent").textContent = `${$("opacity").value} %`;
  paint();
});

$("model").addEventListener("change", () => {
  state.off.clear();
  if (state.photo && !state.stream) segment(state.photo, state.name).then(hideBackground);
});

try {
  state.models = (await (await fetch("v1/models")).json()).models;
  $("model").replaceChildren(...state.models.map(({ name }) => new Option(name, name)));
} catch {
  say("the service does not answer");
}
document.body.dataset.ready = "true";
