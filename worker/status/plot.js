"use strict";
// How numbers are written, and how lines are drawn.

const AXIS_PX = 16; // below a plot, for its times
const $ = (id) => document.getElementById(id);
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const tenth = new Intl.NumberFormat("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const percent = new Intl.NumberFormat("en", { style: "percent", maximumFractionDigits: 1 });
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

const rate = (value) => (value < 100 ? tenth : whole).format(value);
// What is not all is never written as all.
const share = (value) => (value === null ? "–" : percent.format(value < 1 ? Math.min(value, 0.999) : 1));

function duration(s) {
  if (s === null) return "–";
  if (s < 0.9995) return `${s < 0.01 ? tenth.format(s * 1000) : whole.format(s * 1000)} ms`;
  if (s < 9.95) return `${tenth.format(s)} s`;
  if (s < 120) return `${whole.format(s)} s`;
  if (s < 7200) return `${whole.format(s / 60)} min`;
  if (s < 172800) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}
// Above the last edge of the histogram the estimate is that edge.
const latency = (s) => (s !== null && s >= 10 ? "over 10 s" : duration(s));

function element(name, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

/** The first round number that is not below the value: the top of an axis from 0. */
function above(value) {
  const power = 10 ** Math.floor(Math.log10(value || 1));
  return [1, 2, 5, 10].map((step) => step * power).find((edge) => edge >= (value || 1));
}

function linear(values, format) {
  const top = above(Math.max(...values, 0));
  return { at: (value) => value / top, ticks: [0, top / 2, top].map((edge) => [edge, format.format(edge)]) };
}

function logarithmic(values) {
  const decades = values.filter((value) => value > 0).map(Math.log10);
  const low = Math.min(-2, Math.floor(Math.min(...decades, 0)));
  const high = Math.max(0, Math.ceil(Math.max(...decades, 0)));
  const ticks = [];
  for (let power = low; power <= high; power++) ticks.push([10 ** power, duration(10 ** power)]);
  return { at: (value) => (Math.log10(Math.max(value, 10 ** low)) - low) / (high - low), ticks };
}

/** The line of a value, broken where there is none; a value between two such gaps is a dot. */
function trace(points, key, x, y) {
  let path = "";
  let drawing = false;
  for (const point of points) {
    const value = point[key];
    if (value !== null) path += `${drawing ? "L" : "M"}${x(point.age_s).toFixed(1)} ${y(value).toFixed(1)}${drawing ? "" : "h0"}`;
    drawing = value !== null;
  }
  return path;
}

function plot(id, status, scale, lines, { area = false, limit = null, label }) {
  const svg = $(id);
  const width = svg.clientWidth;
  const height = svg.clientHeight - AXIS_PX;
  const points = status.points.filter((point) => point.age_s <= status.span_s + REFRESH_MS / 1000);
  const x = (age_s) => width * (1 - Math.min(age_s / status.span_s, 1));
  const y = (value) => height * (1 - scale.at(value));
  const drawn = [];
  const labels = []; // above the lines
  for (const [value, text] of scale.ticks) {
    drawn.push(element("line", { class: "grid", x1: 0, x2: width, y1: y(value), y2: y(value) }));
    const below = y(value) + 12; // a line at the bottom has its value above it: below it are the times
    if (value !== 0) labels.push(element("text", { x: 0, y: below > height ? y(value) - 4 : below }, text));
  }
  if (limit !== null) {
    drawn.push(element("line", { class: "limit", x1: 0, x2: width, y1: y(limit), y2: y(limit) }));
    labels.push(element("text", { class: "limit", x: 0, y: y(limit) - 4 }, "budget"));
  }
  for (const [key, kind] of lines) {
    const path = trace(points, key, x, y);
    if (area && points.length > 1) {
      drawn.push(element("path", { class: "area", d: `${path}V${height}H${x(points[0].age_s)}Z` }));
    }
    drawn.push(element("path", { class: kind, d: path }));
  }
  drawn.push(element("text", { x: 0, y: height + AXIS_PX - 3 }, `${duration(status.span_s)} ago`));
  drawn.push(element("text", { x: width, y: height + AXIS_PX - 3, "text-anchor": "end" }, "now"));
  svg.setAttribute("viewBox", `0 0 ${width} ${height + AXIS_PX}`);
  svg.setAttribute("aria-label", label);
  svg.replaceChildren(...drawn, ...labels);
}
