// Lines over steps on a canvas: axes with round numbers, one reading for all charts where the pointer is.

import { fill, make } from "./dom.js";
import { canvasFont } from "./canvas-text.js";
import { palette } from "./colour.js";

const LEFT = 52;
const RIGHT = 12;
const TOP = 12;
const BOTTOM = 24;

/**
 * `series`: [{name, colour (a name of the palette), points: [[x, y]…], dots, faint}]; `levels`: [{name, y}]
 * are dashed lines across. `onPoint(x | null)` hears where the pointer is, in the unit of x.
 */
export class Chart {
  constructor({ title, unit = "step", show = shortNumber, logarithmic = false, onPoint }) {
    Object.assign(this, { show, logarithmic, unit, series: [], levels: [], at: null });
    this.reading = make("span", { class: "reading" });
    this.canvas = make("canvas", { role: "img", "aria-label": title });
    this.names = make("span", { class: "names" });
    const caption = make("figcaption", {}, make("h2", {}, title), this.names, this.reading);
    this.element = make("figure", { class: "card chart" }, caption, this.canvas);
    this.title = title;
    this.observer = new ResizeObserver(() => this.redraw());
    this.observer.observe(this.canvas);
    this.canvas.addEventListener("pointermove", (event) => onPoint?.(this.valueAt(event.offsetX)));
    this.canvas.addEventListener("pointerleave", () => onPoint?.(null));
  }

  set(series, levels = []) {
    this.series = series.filter(({ points }) => points.length);
    this.levels = levels;
    this.measure();
    this.redraw();
    const named = this.series.filter(({ faint }) => !faint);
    const marks = named.map(({ name, colour }) => {
      const mark = make("i", { "aria-hidden": "true" });
      mark.style.background = `var(--${colour})`;
      return make("span", {}, mark, name);
    });
    fill(this.names, named.length > 1 ? marks : []);
    const last = this.series.map(({ name, points }) => `${name} ${this.show(points.at(-1)[1])}`).join(", ");
    this.canvas.setAttribute("aria-label", `${this.title}: ${last || "nothing yet"}`);
  }

  measure() {
    const points = this.series.flatMap((each) => each.points);
    const values = [...points.map(([, y]) => y), ...this.levels.map(({ y }) => y)].filter(
      (y) => Number.isFinite(y) && (!this.logarithmic || y > 0),
    );
    this.first = points.reduce((least, [x]) => Math.min(least, x), Infinity);
    this.last = points.reduce((most, [x]) => Math.max(most, x), -Infinity);
    let low = values.reduce((least, y) => Math.min(least, y), Infinity);
    let high = values.reduce((most, y) => Math.max(most, y), -Infinity);
    if (!this.logarithmic && low > 0 && low < 0.5 * high) low = 0;
    if (low === high) [low, high] = [low - 0.5, high + 0.5];
    [this.low, this.high] = [low, high];
  }

  x(value) {
    return LEFT + ((value - this.first) / Math.max(1, this.last - this.first)) * (this.width - LEFT - RIGHT);
  }

  y(value) {
    const bend = this.logarithmic ? Math.log : (number) => number;
    const share = (bend(value) - bend(this.low)) / (bend(this.high) - bend(this.low));
    return this.height - BOTTOM - share * (this.height - TOP - BOTTOM);
  }

  valueAt(pixel) {
    const share = (pixel - LEFT) / Math.max(1, this.width - LEFT - RIGHT);
    return this.series.length
      ? this.first + Math.min(1, Math.max(0, share)) * (this.last - this.first)
      : null;
  }

  /** Show the values at a step, in this chart and its fellows alike. */
  readAt(at) {
    this.at = at;
    const parts =
      at === null
        ? []
        : this.series
            .filter(({ faint }) => !faint)
            .map(({ name, points }) => `${name} ${this.show(nearest(points, at)[1])}`);
    this.names.hidden = at !== null;
    this.reading.textContent =
      at === null ? "" : [`${this.unit} ${Math.round(at).toLocaleString("en")}`, ...parts].join(" · ");
    this.redraw();
  }

  redraw() {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      this.paint();
    });
  }

  paint() {
    const ratio = window.devicePixelRatio || 1;
    this.width = this.canvas.clientWidth;
    this.height = this.canvas.clientHeight;
    this.canvas.width = Math.round(this.width * ratio);
    this.canvas.height = Math.round(this.height * ratio);
    const context = this.canvas.getContext("2d");
    context.scale(ratio, ratio);
    this.paintOn(context);
  }

  /** The chart as a part of a PNG. */
  part() {
    this.paint(); // its size is known then
    const named = this.series.filter(({ faint }) => !faint);
    const paint = (context) => {
      this.paintOn(context);
      if (named.length > 1) this.paintNames(context, named);
    };
    return { title: this.title, width: this.width, height: this.height, paint };
  }

  /** Which line is which, above the chart. */
  paintNames(context, named) {
    let right = this.width - RIGHT;
    context.font = canvasFont(12, 600);
    context.textAlign = "right";
    for (const { name, colour } of named.toReversed()) {
      context.fillStyle = palette()[colour];
      context.fillText(name, right, -10);
      right -= context.measureText(name).width + 14;
    }
  }

  paintOn(context) {
    const { muted } = palette();
    if (!this.series.length) {
      context.fillStyle = muted;
      context.font = canvasFont(13);
      context.fillText("Nothing yet", LEFT, this.height / 2);
      return;
    }
    this.paintAxes(context);
    for (const each of this.series) this.paintLine(context, each);
    this.paintLevels(context);
    this.paintReading(context);
  }

  paintAxes(context) {
    const { muted, line } = palette();
    context.font = canvasFont(11);
    context.fillStyle = muted;
    context.strokeStyle = line;
    context.lineWidth = 1;
    context.textAlign = "right";
    context.textBaseline = "middle";
    const ticks = this.logarithmic ? logTicks(this.low, this.high) : roundTicks(this.low, this.high, 4);
    for (const value of ticks) {
      const y = Math.round(this.y(value)) + 0.5;
      context.beginPath();
      context.moveTo(LEFT, y);
      context.lineTo(this.width - RIGHT, y);
      context.stroke();
      context.fillText(this.show(value), LEFT - 8, y);
    }
    context.textAlign = "center";
    context.textBaseline = "alphabetic";
    for (const value of roundTicks(this.first, this.last, Math.max(2, Math.floor(this.width / 130))))
      context.fillText(shortNumber(value), this.x(value), this.height - 6);
  }

  paintLevels(context) {
    const { warm } = palette();
    context.fillStyle = warm;
    for (const { name, y } of this.levels) {
      context.setLineDash([5, 4]);
      context.strokeStyle = warm;
      context.lineWidth = 1.5;
      context.beginPath();
      context.moveTo(LEFT, this.y(y));
      context.lineTo(this.width - RIGHT, this.y(y));
      context.stroke();
      context.textAlign = "right";
      context.setLineDash([]);
      context.strokeStyle = palette().card; // a rim, so that the name is read across the curve
      context.lineWidth = 4;
      context.strokeText(name, this.width - RIGHT - 2, this.y(y) - 6);
      context.fillText(name, this.width - RIGHT - 2, this.y(y) - 6);
    }
    context.setLineDash([]);
  }

  paintLine(context, { points, colour, dots, faint }) {
    context.strokeStyle = palette()[colour];
    context.fillStyle = palette()[colour];
    context.globalAlpha = faint ? 0.28 : 1;
    context.lineWidth = faint ? 1 : 2;
    context.lineJoin = "round";
    context.beginPath();
    points.forEach(([x, y], index) => {
      if (index === 0) context.moveTo(this.x(x), this.y(y));
      else context.lineTo(this.x(x), this.y(y));
    });
    context.stroke();
    for (const [x, y] of dots ? points : []) {
      context.beginPath();
      context.arc(this.x(x), this.y(y), 3, 0, 2 * Math.PI);
      context.fill();
    }
    context.globalAlpha = 1;
  }

  paintReading(context) {
    if (this.at === null) return;
    const { muted, ink } = palette();
    context.strokeStyle = muted;
    context.lineWidth = 1;
    context.beginPath();
    context.moveTo(this.x(this.at), TOP);
    context.lineTo(this.x(this.at), this.height - BOTTOM);
    context.stroke();
    context.fillStyle = ink;
    for (const { points, faint } of this.series) {
      if (faint) continue;
      const [x, y] = nearest(points, this.at);
      context.beginPath();
      context.arc(this.x(x), this.y(y), 3.5, 0, 2 * Math.PI);
      context.fill();
    }
  }

  close() {
    this.observer.disconnect();
    cancelAnimationFrame(this.frame);
  }
}

/** The point whose x is nearest, points being in order of x. */
function nearest(points, x) {
  let [low, high] = [0, points.length - 1];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (points[middle][0] <= x) low = middle;
    else high = middle;
  }
  return Math.abs(points[low][0] - x) <= Math.abs(points[high][0] - x) ? points[low] : points[high];
}

/** About `count` round numbers between two. */
function roundTicks(low, high, count) {
  const rough = (high - low) / count || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((size) => size >= 0.8 * rough);
  const ticks = [];
  for (let value = Math.ceil(low / step) * step; value <= high + step * 1e-6; value += step)
    ticks.push(Math.abs(value) < step * 1e-6 ? 0 : value);
  return ticks;
}

function logTicks(low, high) {
  const ticks = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power += 1)
    for (const factor of [1, 2, 5]) {
      const value = factor * 10 ** power;
      if (value >= low && value <= high) ticks.push(value);
    }
  return ticks.length > 1 ? ticks : roundTicks(low, high, 3);
}

/** 12,300 → 12.3k, 0.00031 → 3.1e-4. */
export function shortNumber(value) {
  const size = Math.abs(value);
  if (size >= 1e6) return `${trimmed(value / 1e6)}M`;
  if (size >= 1e4) return `${trimmed(value / 1e3)}k`;
  if (size >= 1e-3 || size === 0) return trimmed(value);
  return Number(value.toPrecision(2)).toExponential();
}

function trimmed(value) {
  return String(Number(value.toPrecision(3)));
}
