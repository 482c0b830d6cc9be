// All heads of all layers at a glance: a small map each, layers downwards, heads across.

import { palette } from "./colour.js";
import { canvasFont } from "./canvas-text.js";
import { Surface } from "./surface.js";
import { make } from "./dom.js";
import { bytesOf } from "./weights.js";

const GAP = 10;
const LEFT = 74;
const TOP = 30;

/**
 * `layers` as /attention/summary gives them; `onChoose(layer, head)`, both from 0, hears which one is
 * opened.
 */
export class HeadGrid {
  constructor({ label, onChoose, onPoint }) {
    Object.assign(this, { onChoose, onHover: onPoint, layers: [], place: null, thumbnails: [] });
    this.surface = new Surface({
      label,
      sizeOf: (width) => this.sizeOf(width),
      paint: (context) => this.paint(context),
      paintOver: (context) => this.paintOver(context),
      onPoint: (point, pressed) => this.point(point, pressed),
      onKey: (event) => this.move(event),
    });
    this.element = this.surface.element;
  }

  show(layers) {
    this.layers = layers;
    this.bytes = layers.map((layer) => bytesOf(layer.thumbnails));
    this.thumbnails = [];
    this.surface.resize();
  }

  heads() {
    return this.layers[0]?.shape[0] ?? 0;
  }

  sizeOf(width) {
    const heads = Math.max(1, this.heads());
    this.cell = Math.max(34, Math.min(190, (width - LEFT - GAP) / heads - GAP));
    return {
      width: LEFT + heads * (this.cell + GAP),
      height: TOP + this.layers.length * (this.cell + GAP) + 4,
    };
  }

  /** Top left corner of a thumbnail. */
  corner(layer, head) {
    return [LEFT + head * (this.cell + GAP), TOP + layer * (this.cell + GAP)];
  }

  point(point, pressed) {
    const step = this.cell + GAP;
    const layer = point ? Math.floor((point.y - TOP) / step) : -1;
    const head = point ? Math.floor((point.x - LEFT) / step) : -1;
    const inside = layer >= 0 && head >= 0 && layer < this.layers.length && head < this.heads();
    if (inside && pressed) this.onChoose(layer, head);
    else this.mark(inside ? { layer, head } : null);
  }

  mark(place) {
    this.place = place;
    this.onHover(place);
    this.surface.redrawOver();
  }

  move(event) {
    const { layer, head } = this.place ?? { layer: 0, head: 0 };
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      this.onChoose(layer, head);
    } else if (step) {
      event.preventDefault();
      const next = {
        layer: Math.min(this.layers.length - 1, Math.max(0, layer + (this.place ? step[0] : 0))),
        head: Math.min(this.heads() - 1, Math.max(0, head + (this.place ? step[1] : 0))),
      };
      this.mark(next);
      this.surface.reveal(...this.corner(next.layer, next.head), this.cell);
      this.surface.describe(`Layer ${next.layer + 1}, head ${next.head + 1}. Enter opens it.`);
    }
  }

  paint(context) {
    const { ink, muted, line } = palette();
    context.textBaseline = "middle";
    context.font = canvasFont(12);
    for (let head = 0; head < this.heads(); head += 1) {
      context.textAlign = "center";
      context.fillStyle = muted;
      context.fillText(
        `head ${head + 1}`.slice(this.cell < 48 ? 5 : 0),
        this.corner(0, head)[0] + this.cell / 2,
        TOP / 2,
      );
    }
    context.imageSmoothingEnabled = false;
    this.layers.forEach((_, layer) => {
      const y = this.corner(layer, 0)[1];
      context.textAlign = "left";
      context.fillStyle = ink;
      context.fillText(`Layer ${layer + 1}`, 6, y + this.cell / 2);
      for (let head = 0; head < this.heads(); head += 1) {
        const [x] = this.corner(layer, head);
        context.drawImage(this.thumbnail(layer, head), x, y, this.cell, this.cell);
        context.strokeStyle = line;
        context.strokeRect(x - 0.5, y - 0.5, this.cell + 1, this.cell + 1);
      }
    });
  }

  paintOver(context) {
    if (!this.place) return;
    const [x, y] = this.corner(this.place.layer, this.place.head);
    context.strokeStyle = palette().accent;
    context.lineWidth = 2.5;
    context.beginPath();
    context.roundRect(x - 3, y - 3, this.cell + 6, this.cell + 6, 4);
    context.stroke();
  }

  /** A head's map, one pixel a cell. */
  thumbnail(layer, head) {
    const colours = palette();
    if (this.colours !== colours) [this.colours, this.thumbnails] = [colours, []];
    const key = layer * this.heads() + head;
    if (this.thumbnails[key]) return this.thumbnails[key];
    const [, height, width] = this.layers[layer].shape;
    const image = new ImageData(width, height);
    const start = head * width * height;
    for (let index = 0; index < width * height; index += 1) {
      const from = 3 * this.bytes[layer][start + index];
      image.data.set(colours.scale.subarray(from, from + 3), 4 * index);
      image.data[4 * index + 3] = 255;
    }
    const canvas = make("canvas", { width, height });
    canvas.getContext("2d").putImageData(image, 0, 0);
    this.thumbnails[key] = canvas;
    return canvas;
  }

  png() {
    return this.surface.png();
  }

  close() {
    this.surface.close();
  }
}
