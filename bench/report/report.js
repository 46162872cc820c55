"use strict";
(() => {
const $ = id => document.getElementById(id);
const D = JSON.parse($("data").textContent);
const n = D.points.length, page = 100;
let rows = [...Array(n).keys()], first = 0, sortBy = -1, down = false;

// A figure as the rest of the page writes it.
const text = v => v === null ? "" : Number.isInteger(v) || Math.abs(v) >= 1000 ? v.toFixed(0) : String(+v.toPrecision(4));
const cells = i => [D.points[i], ...D.axes.map((_, a) => D.values[a][D.levels[a][i]]), ...D.stats.map((_, k) => text(D.ys[k][i]))];

function choose() {
  const on = D.axes.map(() => null);
  let all = true;
  for (const f of document.querySelectorAll("#filters fieldset")) {
    const set = new Set();
    for (const box of f.querySelectorAll("input")) if (box.checked) set.add(+box.value); else all = false;
    on[+f.dataset.axis] = set;
  }
  rows = [];
  for (let i = 0; i < n; i++) if (on.every((set, a) => !set || set.has(D.levels[a][i]))) rows.push(i);
  order();
  first = 0;
  const left = $("left");
  if (left) left.textContent = rows.length + " of " + n + " runs";
  D.stats.forEach((name, k) => live(name, k, all));
  D.plots.forEach(p => redraw(p, all));
  table();
}

function order() {
  if (sortBy < 0) { rows.sort((a, b) => a - b); return; }
  const axes = D.axes.length;
  const value = i => sortBy === 0 ? D.points[i] : sortBy <= axes ? D.levels[sortBy - 1][i] : D.ys[sortBy - 1 - axes][i];
  rows.sort((a, b) => {
    const x = value(a), y = value(b);
    if (x === y) return a - b;
    if (x === null || y === null) return x === null ? 1 : -1;
    return (x < y ? -1 : 1) * (down ? -1 : 1);
  });
}

// What the filter leaves of a statistic, in words.
function live(name, k, all) {
  const p = $("live" + k);
  if (!p) return;
  const ys = rows.map(i => D.ys[k][i]).filter(y => y !== null);
  p.hidden = all;
  let sum = 0, low = Infinity, high = -Infinity;
  for (const y of ys) { sum += y; low = Math.min(low, y); high = Math.max(high, y); }
  p.textContent = ys.length === 0 ? "Of the chosen runs none has this." : ys.length + " chosen runs: mean " + text(sum / ys.length) + ", least " + text(low) + ", most " + text(high) + ".";
}

// Curves of the chosen runs over the picture, in place of those of all runs.
function redraw(p, all) {
  const figure = $(p.id), svg = figure && figure.querySelector("svg");
  if (!svg) return;
  svg.querySelector("g.chosen")?.remove();
  for (const e of svg.querySelectorAll('[style*="var(--s"]')) e.style.display = all ? "" : "none";
  if (all) return;
  const make = (kind, attrs, to) => {
    const e = document.createElementNS("http://www.w3.org/2000/svg", kind);
    for (const [key, v] of Object.entries(attrs)) e.setAttribute(key, v);
    to.append(e);
    return e;
  };
  const g = make("g", {class: "chosen"}, svg);
  const sums = new Map();
  for (const i of rows) {
    const y = D.ys[p.stat][i];
    if (y === null) continue;
    const s = p.by < 0 ? p.series[0] : p.series[D.levels[p.by][i]];
    const key = s + "," + D.levels[p.along][i];
    const c = sums.get(key) || [0, 0];
    c[0] += y; c[1]++;
    sums.set(key, c);
  }
  const [v0, v1, y0, y1] = p.y;
  const share = v => p.log ? (Math.log(v) - Math.log(v0)) / (Math.log(v1) - Math.log(v0)) : (v - v0) / (v1 - v0);
  const at = v => y0 + Math.max(0, Math.min(1, share(v))) * (y1 - y0);
  p.colours.forEach((colour, s) => {
    const points = [];
    for (const v of p.order) {
      const c = sums.get(s + "," + v);
      if (c && p.x[v] >= 0) points.push([p.x[v], at(c[0] / c[1])]);
    }
    if (p.bar > 0) {
      for (const [x, y] of points) {
        const left = x + (s - (p.colours.length - 1) / 2) * p.bar - p.bar / 2, zero = p.log ? y0 : at(0);
        make("rect", {x: left, width: p.bar, y: Math.min(y, zero), height: Math.abs(zero - y), style: "fill:" + colour}, g);
      }
      return;
    }
    if (points.length > 1) make("polyline", {points: points.map(q => q.join(",")).join(" "), style: "fill:none;stroke-width:1.6;stroke:" + colour}, g);
    for (const [x, y] of points) make("circle", {cx: x, cy: y, r: 2.2, style: "fill:" + colour}, g);
  });
}

function table() {
  const body = document.querySelector("#runs tbody");
  body.replaceChildren();
  for (const i of rows.slice(first, first + page)) {
    const tr = body.insertRow();
    tr.dataset.run = i;
    for (const c of cells(i)) tr.insertCell().textContent = c;
  }
  document.querySelector("#runs .more")?.remove();
  $("pager").hidden = rows.length <= page;
  $("where").textContent = rows.length === 0 ? "none" : (first + 1) + " to " + Math.min(first + page, rows.length) + " of " + rows.length;
  $("back").disabled = first === 0;
  $("next").disabled = first + page >= rows.length;
}

// The record of a run, out of its compressed group.
async function open(i) {
  const packed = Uint8Array.from(atob(D.chunks[Math.floor(i / D.chunk)]), c => c.charCodeAt(0));
  const lines = await new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
  $("which").textContent = cells(i).slice(0, 1 + D.axes.length).join("  ");
  $("text").textContent = JSON.stringify(JSON.parse(lines.split("\n")[i % D.chunk]), null, 1);
  $("record").showModal();
}

const filters = $("filters");
if (filters) {
  filters.hidden = false;
  filters.addEventListener("input", choose);
  filters.addEventListener("reset", () => setTimeout(choose));
  filters.addEventListener("submit", e => e.preventDefault());
}
$("back").addEventListener("click", () => { first -= page; table(); });
$("next").addEventListener("click", () => { first += page; table(); });
document.querySelectorAll("#runs th").forEach((th, k) => th.addEventListener("click", () => {
  down = sortBy === k && !down;
  sortBy = k;
  order();
  first = 0;
  table();
}));
if (D.chunks.length > 0) {
  $("runs").className = "open";
  document.querySelector("#runs tbody").addEventListener("click", e => {
    const tr = e.target.closest("tr");
    if (tr) open(+tr.dataset.run);
  });
}
choose();
})();
