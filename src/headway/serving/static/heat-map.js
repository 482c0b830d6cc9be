// A matrix as a map of colours, with values where there is room; rows and columns carry their words.

import { isDeep, palette } from "./colour.js";
import { canvasFont, fitted } from "./canvas-text.js";
import { Surface } from "./surface.js";
import { make, spoken, visibleText } from "./dom.js";

const LABELS = 108;
const SMALLEST_LABELLED = 9;
const SMALLEST_VALUED = 30;
const SMALLEST_RULED = 13;
const LARGEST_CELL = 44;
const HEIGHT_SHARE = 0.7; // of the window, as the style sheet allows a picture
const DEEP_INK = "#14171c"; // the same in both themes, since the cell's own colour decides
const PALE_INK = "#ffffff";

/**
 * `matrix` [rows × columns] holds 0–255, `rows` and `columns` their words. `onChoose({row, column} | null,
 * pressed)` hears what is pointed at; `valueOf(byte)` writes a value into a cell, or null for none;
 * `whole`: it is to be seen without scrolling.
 */
export class HeatMap {
  constructor({ label, onChoose, valueOf, diverging = false, whole = false }) {
    Object.assign(this, { onChoose, valueOf, diverging, whole, zoom: 1, place: null });
    this.show([], [], new Float32Array(0));
    this.surface = new Surface({
      label,
      sizeOf: (width) => this.sizeOf(width),
      paint: (context, view) => this.paint(context, view),
      paintOver: (context, view) => this.paintOver(context, view),
      onPoint: (point, pressed) => this.onChoose?.(point ? this.at(point) : null, pressed),
      onKey: (event) => this.move(event),
    });
    this.element = this.surface.element;
  }

  show(rows, columns, matrix) {
    Object.assign(this, { rows, columns, matrix, image: null });
    this.labels = rows.length
      ? Math.min(LABELS, 14 + 8 * Math.max(...[...rows, ...columns].map((w) => w.length)))
      : 0;
    this.surface?.resize();
  }

  /** Zoom 1 fits the width; larger ones scroll. */
  setZoom(zoom) {
    this.zoom = zoom;
    this.surface.resize();
  }

  sizeOf(width) {
    const across = (width - this.labels - 8) / Math.max(1, this.columns.length);
    const down = (HEIGHT_SHARE * window.innerHeight - this.labels - 8) / Math.max(1, this.rows.length);
    const fit = Math.min(LARGEST_CELL, across, Math.max(down, this.whole ? 1 : SMALLEST_VALUED));
    this.cell = Math.max(fit * this.zoom, 0.5);
    const labelled = this.cell >= SMALLEST_LABELLED;
    this.left = labelled ? this.labels : 6;
    this.top = labelled ? this.labels : 6;
    return {
      width: this.left + this.columns.length * this.cell + 2,
      height: this.top + this.rows.length * this.cell + 2,
    };
  }

  at({ x, y }) {
    const column = Math.floor((x - this.left) / this.cell);
    const row = Math.floor((y - this.top) / this.cell);
    const inside = row >= 0 && column >= 0 && row < this.rows.length && column < this.columns.length;
    return inside ? { row, column } : null;
  }

  /** Mark a cell, or a whole row if `column` is undefined. */
  mark(place) {
    this.place = place;
    this.surface.redrawOver();
  }

  move(event) {
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (!step || !this.rows.length) return;
    event.preventDefault();
    const from = this.place ?? { row: 0, column: 0 };
    const row = Math.min(this.rows.length - 1, Math.max(0, from.row + step[0]));
    const column = Math.min(this.columns.length - 1, Math.max(0, (from.column ?? 0) + step[1]));
    this.onChoose?.({ row, column }, true);
    this.surface.reveal(this.left + column * this.cell, this.top + row * this.cell, this.left + this.cell);
    this.surface.describe(
      `${spoken(this.rows[row])}, ${spoken(this.columns[column])}: ${this.valueAt(row, column)}`,
    );
  }

  valueAt(row, column) {
    const byte = this.matrix[row * this.columns.length + column];
    return this.valueOf?.(byte) ?? String(Math.round(byte));
  }

  scale() {
    return this.diverging ? palette().diverging : palette().scale;
  }

  paint(context, view) {
    if (!this.rows.length) return;
    const { cell, left, top } = this;
    context.imageSmoothingEnabled = false;
    context.drawImage(this.pixels(), left, top, this.columns.length * cell, this.rows.length * cell);
    if (cell >= SMALLEST_RULED) this.paintGrid(context);
    if (cell >= SMALLEST_VALUED && this.valueOf) this.paintValues(context, view);
    if (cell >= SMALLEST_LABELLED) this.paintLabels(context, view);
  }

  /** One pixel a cell; the canvas enlarges it. */
  pixels() {
    const key = palette();
    if (this.image && this.imageKey === key) return this.image;
    const [width, height] = [this.columns.length, this.rows.length];
    const image = new ImageData(width, height);
    const scale = this.scale();
    for (let index = 0; index < width * height; index += 1) {
      const from = 3 * Math.round(this.matrix[index]);
      image.data[4 * index] = scale[from];
      image.data[4 * index + 1] = scale[from + 1];
      image.data[4 * index + 2] = scale[from + 2];
      image.data[4 * index + 3] = 255;
    }
    this.image = make("canvas", { width, height });
    this.image.getContext("2d").putImageData(image, 0, 0);
    this.imageKey = key;
    return this.image;
  }

  paintGrid(context) {
    const { cell, left, top } = this;
    const [right, bottom] = [left + this.columns.length * cell, top + this.rows.length * cell];
    context.strokeStyle = palette().card;
    context.lineWidth = 1;
    context.beginPath();
    for (let x = left; x <= right + 0.1; x += cell) (context.moveTo(x, top), context.lineTo(x, bottom));
    for (let y = top; y <= bottom + 0.1; y += cell) (context.moveTo(left, y), context.lineTo(right, y));
    context.stroke();
  }

  paintValues(context, view) {
    const { cell } = this;
    const scale = this.scale();
    context.font = canvasFont(Math.min(12, cell / 2.9));
    context.textAlign = "center";
    context.textBaseline = "middle";
    this.eachSeen(view, (row, column) => {
      const byte = this.matrix[row * this.columns.length + column];
      const text = this.valueOf(byte);
      if (text === null) return;
      context.fillStyle = isDeep(scale, byte) ? PALE_INK : DEEP_INK;
      context.fillText(text, this.left + (column + 0.5) * cell, this.top + (row + 0.5) * cell);
    });
  }

  eachSeen(view, visit) {
    const { cell, left, top } = this;
    const firstRow = Math.max(0, Math.floor((view.top - top) / cell));
    const lastRow = Math.min(this.rows.length - 1, Math.ceil((view.top + view.height - top) / cell));
    const firstColumn = Math.max(0, Math.floor((view.left - left) / cell));
    const lastColumn = Math.min(this.columns.length - 1, Math.ceil((view.left + view.width - left) / cell));
    for (let row = firstRow; row <= lastRow; row += 1)
      for (let column = firstColumn; column <= lastColumn; column += 1) visit(row, column);
  }

  /** Words stay in sight when the map is scrolled. */
  paintLabels(context, view, marked = null) {
    const { cell, labels } = this;
    const { ink, muted, card } = palette();
    const size = Math.min(13, Math.max(9, cell * 0.7));
    context.textBaseline = "middle";
    const bold = (is) => canvasFont(size, is ? 650 : 400);
    if (!marked) {
      context.fillStyle = card;
      context.fillRect(view.left, this.top, labels - 1, this.rows.length * cell);
      context.fillRect(view.left, view.top, view.width, labels - 1);
    }
    const corner = { left: view.left + labels, top: view.top + labels };
    this.rows.forEach((word, row) => {
      const y = this.top + (row + 0.5) * cell;
      if (y < corner.top || y > view.top + view.height || (marked && marked.row !== row)) return;
      context.font = bold(marked);
      context.fillStyle = marked ? ink : muted;
      context.textAlign = "right";
      context.fillText(fitted(context, visibleText(word), labels - 14), view.left + labels - 8, y);
    });
    this.columns.forEach((word, column) => {
      const x = this.left + (column + 0.5) * cell;
      if (x < corner.left || x > view.left + view.width || (marked && marked.column !== column)) return;
      context.save();
      context.translate(x, view.top + labels - 8);
      context.rotate(-Math.PI / 2);
      context.font = bold(marked);
      context.fillStyle = marked ? ink : muted;
      context.textAlign = "left";
      context.fillText(fitted(context, visibleText(word), labels - 14), 0, 0);
      context.restore();
    });
  }

  paintOver(context, view) {
    if (!this.place || !this.rows.length) return;
    const { cell, left, top, place } = this;
    context.strokeStyle = palette().ink;
    context.lineWidth = 1.5;
    context.globalAlpha = 0.45;
    context.strokeRect(left, top + place.row * cell, this.columns.length * cell, cell);
    context.globalAlpha = 1;
    if (place.column !== undefined)
      context.strokeRect(left + place.column * cell, top + place.row * cell, cell, cell);
    if (cell >= SMALLEST_LABELLED) this.paintLabels(context, view, place);
  }

  png() {
    return this.surface.png();
  }

  close() {
    this.surface.close();
  }
}
