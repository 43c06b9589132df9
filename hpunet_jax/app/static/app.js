// The page: what a person does becomes a state (noise of each scale, marks), and the server decodes it.

import { array, ask, newestOnly } from "./requests.js";
import { filledLabels, greyImage } from "./drawing.js";
import { History } from "./history.js";
import { Latents, gaussianNoise, noNoise } from "./latents.js";
import { View } from "./view.js";

const $ = (id) => document.getElementById(id);
const encode = (noise) => noise.map((scale) => Array.from(scale));
const decodeNoise = (lists) => lists.map((list) => Float32Array.from(list));

let info;
let picture; // what the server said of the shown image
let opened = 0; // how many images have been asked for
let running = 0; // how many actions last
let hypotheses = [];
let uncertainty = null;
let area = null;
const history = new History(null);

const view = new View($("canvas"), {
  window(range) {
    view.setWindow(range);
    status(`window ${range.map((v) => v.toFixed(v > 10 ? 0 : 2)).join(" to ")}`);
  },
  mark: addMarks,
  markEnd: () => refresh(),
  wheel(steps) {
    if (!picture || picture.slices < 2) return false;
    go(picture.id, Math.min(Math.max(picture.slice + steps, 0), picture.slices - 1));
    return true;
  },
});
const latents = new Latents($("latents"), {
  move: moveLatent,
  sample(scale) {
    const noise = history.state.noise.map((values, i) => {
      if (i === scale) return gaussianNoise(values.length);
      return i > scale && !$("keep-noise").checked ? new Float32Array(values.length) : values;
    });
    push({ ...history.state, noise, from: `scale ${scale} sampled anew` });
  },
  hover(rectangle, text) {
    view.highlight = rectangle;
    view.draw();
    if (text) status(text); else describe();
  },
});

function status(text) {
  $("status").textContent = text;
}

function fail(error) {
  $("error").textContent = error.message;
  $("error").hidden = false;
}

/** Runs an action; while it lasts the page says so, and an error becomes a sentence on it. */
async function busy(action) {
  running += 1;
  const timer = setTimeout(() => { $("busy").hidden = false; }, 250);
  try {
    const result = await action();
    $("error").hidden = true;
    return result;
  } catch (error) {
    fail(error);
    return null;
  } finally {
    clearTimeout(timer);
    running -= 1;
    if (!running) $("busy").hidden = true;
  }
}

/** The server's answer about the shown image; null if there is none, or if it comes too late and another is shown. */
async function askOfShown(path, body) {
  const shown = picture;
  const answer = await busy(() => ask(path, body));
  return picture === shown ? answer : null;
}

function place() {
  return { image: picture.id, slice: picture.slice };
}

/** Shows an image of the list, and asks for its hypotheses and uncertainty. */
async function go(id, slice = null) {
  const query = slice === null ? "" : `?slice=${slice}`;
  opened += 1;
  const number = opened;
  const answer = await busy(() => ask(`images/${id}${query}`));
  if (number !== opened) return; // another has been asked for since
  picture = answer ?? picture;
  if (!picture) return;
  $("image").value = picture.id; // also where it could not be opened, and the former stays
  $("slice").value = picture.slice;
  if (!answer) return;
  $("unlike").hidden = !picture.warning;
  $("unlike").textContent = picture.warning ?? "";
  $("slice-label").hidden = picture.slices < 2;
  $("slice").max = picture.slices - 1;
  $("slice").value = picture.slice;
  $("slice-number").textContent = `${picture.slice + 1} of ${picture.slices}`;
  view.marks = new Map();
  view.setImage(array(picture.pixels), picture.window, picture.spacing);
  latents.build(picture.scales);
  $("layer").value = "none";
  uncertainty = null;
  hypotheses = [];
  $("hypotheses").replaceChildren();
  $("agreement").textContent = "";
  history.restart({ noise: noNoise(picture.scales), marks: new Map(), from: "prior mean" });
  $("preset").replaceChildren(...Object.keys(picture.presets).map((name) => new Option(name, name)));
  $("saved").replaceChildren();
  $("load").disabled = true;
  showGraders();
  showSaved();
  await decode();
  const found = await askOfShown("hypotheses", place());
  if (!found) return;
  hypotheses = found.hypotheses;
  $("agreement").textContent = found.summary;
  showHypotheses();
  choose(hypotheses.findIndex((h) => h.recommended));
}

/** A small picture with the segmentation on it, as a button. */
function choiceButton(labels, lines, title, onClick) {
  const button = document.createElement("button");
  button.className = "choice";
  button.title = title;
  const canvas = document.createElement("canvas");
  const [height, width] = labels.shape;
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  context.drawImage(greyImage(view.image, view.window), 0, 0);
  context.drawImage(filledLabels(labels, 0.6), 0, 0);
  button.append(canvas, ...lines.map((line) => Object.assign(document.createElement("span"), { textContent: line })));
  button.addEventListener("click", onClick);
  return button;
}

function showHypotheses() {
  $("hypotheses").replaceChildren(...hypotheses.map((h, i) => {
    const name = `${i + 1}${h.recommended ? " recommended" : ""}`;
    const lines = [name, `${Math.round(100 * h.share)} % of samples`, h.area];
    return choiceButton(array(h.labels), lines, `Key ${i + 1}`, () => choose(i));
  }));
}

function showGraders() {
  $("graders-section").hidden = !picture.graders.length;
  $("graders").replaceChildren(...picture.graders.map((grader, i) => {
    const title = "Shows the model's reconstruction of this grading, with its latents";
    return choiceButton(array(grader.labels), [grader.name, "reconstruct"], title, () => reconstruct(i));
  }));
}

function choose(i) {
  if (!hypotheses[i]) return;
  push({ ...history.state, noise: decodeNoise(hypotheses[i].noise), from: `hypothesis ${i + 1}` });
}

async function reconstruct(grader) {
  const answer = await askOfShown("reconstruct", { ...place(), grader });
  if (answer) {
    push({ ...history.state, noise: decodeNoise(answer.noise), from: `reconstruction of ${picture.graders[grader].name}` });
  }
}

function moveLatent(scale, index, value, first) {
  const noise = history.state.noise.map((values, i) => {
    if (i === scale) {
      const moved = values.slice();
      moved[index] = value;
      return moved;
    }
    return i > scale && !$("keep-noise").checked ? new Float32Array(values.length) : values;
  });
  const state = { ...history.state, noise, from: "moved by hand" };
  if (first) push(state); else {
    history.replace(state);
    refresh();
  }
}

function addMarks(pixels, tool) {
  const marks = new Map(view.marks);
  for (const pixel of pixels) {
    if (tool === "erase") marks.delete(pixel); else marks.set(pixel, tool === "inside");
  }
  if (view.marks === history.state.marks) history.push({ ...history.state, marks });
  else history.replace({ ...history.state, marks });
  view.marks = marks;
  view.draw();
}

async function fit() {
  const { marks, noise } = history.state;
  const width = view.image.shape[1];
  const places = (inside) => [...marks].filter(([, m]) => m === inside)
    .map(([pixel]) => [Math.floor(pixel / width), pixel % width]);
  const request = { ...place(), noise: encode(noise), inside: places(true), outside: places(false) };
  const answer = await askOfShown("fit", request);
  if (answer) push({ ...history.state, noise: decodeNoise(answer.noise), from: answer.summary });
}

function push(state) {
  history.push(state);
  refresh();
}

/** Shows the present state of the history. */
function refresh() {
  const { state } = history;
  view.marks = state.marks;
  latents.draw(state.noise);
  $("undo").disabled = !history.canUndo;
  $("redo").disabled = !history.canRedo;
  $("fit").disabled = $("clear").disabled = !state.marks.size;
  decode();
}

const decode = newestOnly(async () => {
  const { state } = history;
  const shown = picture;
  latents.draw(state.noise);
  try {
    const answer = await ask("decode", { ...place(), noise: encode(state.noise) });
    if (picture !== shown) return;
    area = answer.area;
    view.setLabels(array(answer.labels));
    view.canvas.dataset.digest = answer.digest;
    $("error").hidden = true;
    describe();
  } catch (error) {
    fail(error);
  }
});

function describe() {
  const { state } = history;
  if (!state) return;
  status(`${state.from}: ${area}`);
  document.querySelectorAll("#hypotheses .choice").forEach((button, i) => {
    button.setAttribute("aria-pressed", state.from === `hypothesis ${i + 1}`);
  });
}

async function showLayer() {
  if ($("layer").value !== "none" && !uncertainty) {
    const found = await askOfShown("uncertainty", place());
    if (!found) return;
    uncertainty = found;
    $("agreement").textContent = `the samples' mean pairwise IoU is ${uncertainty.agreement.toFixed(2)}`;
  }
  const kind = $("layer").value; // it may have been changed meanwhile
  const name = kind === "contours" ? "foreground" : kind;
  view.setLayer(kind === "none" ? null : { kind, map: array(uncertainty.maps[name]), top: uncertainty.tops[name] });
}

async function showSaved(select = "") {
  const answer = await askOfShown(`saved/${picture.id}?slice=${picture.slice}`);
  if (!answer) return;
  const { names } = answer;
  $("saved").replaceChildren(...names.map((name) => new Option(name, name)));
  if (select) $("saved").value = select;
  $("load").disabled = !names.length;
}

async function save() {
  const { noise, marks, from } = history.state;
  const width = view.image.shape[1];
  const list = [...marks].map(([pixel, inside]) => [Math.floor(pixel / width), pixel % width, inside]);
  const shown = picture;
  const answer = await busy(() => ask("save", { ...place(), noise: encode(noise), marks: list, from }));
  if (!answer) return;
  $("written").textContent = `written: ${answer.files.join(", ")}`;
  if (picture === shown) await showSaved(answer.name);
}

async function load() {
  const answer = await askOfShown("load", { ...place(), name: $("saved").value });
  if (!answer) return;
  const width = view.image.shape[1];
  const marks = new Map(answer.marks.map(([y, x, inside]) => [y * width + x, inside]));
  push({ noise: decodeNoise(answer.noise), marks, from: `loaded ${answer.name}` });
}

function listen() {
  $("image").addEventListener("change", () => go(Number($("image").value)));
  $("slice").addEventListener("change", () => go(picture.id, Number($("slice").value)));
  document.querySelectorAll("[name=tool]").forEach((radio) => radio.addEventListener("change", () => { view.tool = radio.value; }));
  $("preset").addEventListener("change", () => {
    const preset = picture.presets[$("preset").value];
    if (preset) view.setWindow(preset);
  });
  $("style").addEventListener("change", () => { view.style = $("style").value; view.draw(); });
  $("opacity").addEventListener("input", () => { view.opacity = Number($("opacity").value); view.filled = null; view.draw(); });
  $("layer").addEventListener("change", showLayer);
  $("zoom-fit").addEventListener("click", () => view.fit());
  $("fit").addEventListener("click", fit);
  $("clear").addEventListener("click", () => push({ ...history.state, marks: new Map() }));
  $("undo").addEventListener("click", () => { history.undo(); refresh(); });
  $("redo").addEventListener("click", () => { history.redo(); refresh(); });
  $("reset").addEventListener("click", () => push({ noise: noNoise(picture.scales), marks: new Map(), from: "prior mean" }));
  $("save").addEventListener("click", save);
  $("load").addEventListener("click", load);
  document.addEventListener("keydown", (event) => {
    if (["SELECT", "INPUT"].includes(event.target.tagName) && event.target.type !== "radio") return;
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z") {
      event.preventDefault();
      if (event.shiftKey) history.redo(); else history.undo();
      refresh();
    } else if (/^[1-6]$/.test(event.key) && !event.ctrlKey && !event.altKey) {
      choose(Number(event.key) - 1);
    } else if (event.key === "[" || event.key === "]") {
      const next = picture.id + (event.key === "]" ? 1 : -1);
      if (info.images[next]) go(next);
    }
  });
}

async function start() {
  listen();
  info = await busy(() => ask("info"));
  if (!info) return;
  $("model").textContent = `${info.model}, weights ${info.digest}`;
  $("image").replaceChildren(...info.images.map((name, i) => new Option(name, i)));
  if (!info.saves) $("save").disabled = true;
  await go(0);
}

start();
