// Plots as SVG: lines over time, bars of classes, a stacked bar. Sizes are those of the viewBox; CSS stretches them.

import { s } from "./dom.js";
import { count } from "./format.js";

const WIDTH = 640;
/** Room for the figures at the left of a plot. */
const GUTTER = 40;

/** The next 1, 2 or 5 times a power of ten. */
export function ceiling(value) {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= value);
}

/**
 * Lines over one axis of time. `series` are {name, class, values, area}; `label` says in a sentence what is seen, for those who
 * do not see it; `ends` are the texts at both ends of the axis.
 */
export function lines(series, { width = WIDTH, height = 150, label, ends, format = count }) {
  const top = ceiling(Math.max(...series.flatMap((one) => one.values), 0));
  const points = Math.max(...series.map((one) => one.values.length), 2);
  const x = (i, length) => GUTTER + ((i + points - length) / (points - 1)) * (width - GUTTER);
  const y = (value) => height - 18 - (value / top) * (height - 30);
  const parts = [];
  for (const mark of [0, top / 2, top]) {
    parts.push(s("line", { x1: GUTTER, x2: width, y1: y(mark), y2: y(mark), class: "grid" }),
      s("text", { x: GUTTER - 6, y: y(mark) + 4, class: "tick end" }, format(mark)));
  }
  for (const one of series) {
    const path = one.values.map((value, i) => `${i ? "L" : "M"}${x(i, one.values.length).toFixed(1)} ${y(value).toFixed(1)}`).join("");
    if (one.area && path) parts.push(s("path", { d: `${path}L${width} ${y(0)}L${x(0, one.values.length).toFixed(1)} ${y(0)}Z`, class: `area ${one.class}` }));
    parts.push(s("path", { d: path, class: `line ${one.class}` }));
  }
  parts.push(s("text", { x: GUTTER, y: height - 3, class: "tick" }, ends[0]), s("text", { x: width, y: height - 4, class: "tick end" }, ends[1]));
  return s("svg", { viewBox: `0 0 ${width} ${height}`, class: "plot", role: "img", "aria-label": label }, parts);
}

/** Bars of classes with their names under them. */
export function bars(values, names, { height = 52, label, ticks = [0, 3, 6, 9, 12] }) {
  const top = Math.max(...values, 1);
  const width = Math.min(260 / values.length, 26);
  const parts = values.map((value, i) => {
    const tall = value ? Math.max((value / top) * (height - 16), 1.5) : 0;
    return s("rect", { x: i * width + 1, y: height - 14 - tall, width: Math.max(width - 2, 1), height: tall, class: "bar-in" }, s("title", null, `${names[i]}: ${count(value)}`));
  });
  parts.push(s("line", { x1: 0, x2: 260, y1: height - 14, y2: height - 14, class: "grid" }));
  for (const i of ticks) {
    if (i < names.length) parts.push(s("text", { x: i * width + width / 2, y: height - 3, class: "tick mid" }, names[i]));
  }
  return s("svg", { viewBox: `0 0 260 ${height}`, class: "bars", role: "img", "aria-label": label }, parts);
}

/** One bar in parts, each {name, value, class}. */
export function stacked(parts, { label }) {
  const sum = parts.reduce((all, part) => all + part.value, 0) || 1;
  let from = 0;
  const drawn = parts.map((part) => {
    const width = (part.value / sum) * WIDTH;
    const rect = s("rect", { x: from, y: 0, width: Math.max(width - 1.5, 0), height: 14, class: part.class }, s("title", null, part.name));
    from += width;
    return rect;
  });
  return s("svg", { viewBox: `0 0 ${WIDTH} 14`, preserveAspectRatio: "none", class: "stacked", role: "img", "aria-label": label }, drawn);
}
