"use strict";
// Pictures, bars and charts of what the server sends.

const element = (id) => document.getElementById(id);
const HISTORY = 200; // steps of the memory's charts

// Header, images by name ({height, width, rgb}) and file of a binary message; see picture.py.
function decode(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  let offset = 4 + length;
  const images = {};
  for (const [name, height, width] of header.images) {
    images[name] = { height, width, rgb: new Uint8Array(buffer, offset, height * width * 3) };
    offset += height * width * 3;
  }
  return { header, images, file: new Uint8Array(buffer, offset) };
}

function paint(canvas, image) {
  const { height, width, rgb } = image;
  if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
  const data = new ImageData(width, height);
  for (let i = 0, j = 0; i < rgb.length; i += 3, j += 4) {
    data.data[j] = rgb[i];
    data.data[j + 1] = rgb[i + 1];
    data.data[j + 2] = rgb[i + 2];
    data.data[j + 3] = 255;
  }
  canvas.getContext("2d").putImageData(data, 0, 0);
}

function subtract(one, other) {
  return { ...one, rgb: one.rgb.map((level, i) => Math.abs(level - other.rgb[i])) };
}

const number = (x, digits) => (x === null || x === undefined ? "–" : x.toFixed(digits));
const percent = (p) => (p === null || p === undefined ? "–" : `${(100 * p).toFixed(p > 0 && p < 0.0995 ? 1 : 0)} %`);

function makeBars(actions, hold) {
  const box = element("policy");
  box.classList.toggle("many", actions.length > 10);
  box.replaceChildren(...actions.map((action, i) => {
    const button = document.createElement("button");
    for (const [kind, text] of [["number", i < 10 ? String((i + 1) % 10) : ""], ["name", action.name], ["track", ""], ["share", ""]]) {
      const part = document.createElement("span");
      part.className = kind;
      part.textContent = text;
      button.append(part);
    }
    button.querySelector(".track").append(document.createElement("i"));
    button.dataset.action = i;
    hold(button, i);
    return button;
  }));
}

function drawBars(figures) {
  [...element("policy").children].forEach((button, i) => {
    button.querySelector("i").style.transform = `scaleX(${figures.policy[i] ?? 0})`;
    button.querySelector(".share").textContent = percent(figures.policy[i]);
    button.classList.toggle("taken", figures.action === i);
  });
}

function drawFigures(header) {
  const { dream, real } = header;
  const figures = dream ?? real;
  const total = (x) => (Number.isInteger(x) ? String(x) : number(x, 2));
  element("figure-step").textContent = figures.step;
  element("figure-total").textContent = dream && real ? `${total(dream.total)} | ${total(real.total)}` : total(figures.total);
  element("figure-rewards").textContent = number(dream?.expected_reward, 2);
  element("figure-ends").textContent = percent(dream?.ends);
  element("figure-value").textContent = number((real ?? dream).value, 2);
  element("figure-entropy").textContent = number((real ?? dream).entropy, 2);
  element("figure-difference").textContent = number(header.difference, 1);
  const shown = (real ?? dream).action;
  drawBars({ ...(real ?? dream), action: shown });
}

// |h| and its change, step by step; a start empties them.
const memory = { norm: [], change: [] };

function keepMemory(dream) {
  if (!dream || dream.step === 0) memory.norm = [], memory.change = [];
  if (!dream?.memory) return;
  ["norm", "change"].forEach((name, i) => {
    memory[name].push(dream.memory[i] ?? 0);
    memory[name] = memory[name].slice(-HISTORY);
  });
}

function drawMemory() {
  for (const name of ["norm", "change"]) {
    const canvas = element(`chart-${name}`), values = memory[name], scale = window.devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (!width) continue;
    [canvas.width, canvas.height] = [width * scale, height * scale];
    const pen = canvas.getContext("2d");
    pen.scale(scale, scale);
    pen.strokeStyle = getComputedStyle(document.documentElement).getPropertyValue("--accent");
    pen.lineWidth = 1.5;
    pen.beginPath();
    const low = name === "change" ? 0 : Math.min(...values), high = Math.max(...values, low + 1e-6);
    values.forEach((value, i) => {
      const x = (width * i) / Math.max(HISTORY / 4, values.length - 1);
      const y = height - 3 - ((height - 6) * (value - low)) / (high - low);
      if (i) pen.lineTo(x, y);
      else pen.moveTo(x, y);
    });
    pen.stroke();
    element(`chart-${name}-value`).textContent = values.length ? number(values.at(-1), 2) : "";
  }
}

function drawStrip(images) {
  const strip = element("strip");
  const noises = Object.keys(images).filter((name) => name.startsWith("noise"));
  while (strip.children.length > noises.length) strip.lastChild.remove();
  while (strip.children.length < noises.length) strip.append(document.createElement("canvas"));
  noises.forEach((name, i) => paint(strip.children[i], images[name]));
  strip.hidden = !noises.length;
}
