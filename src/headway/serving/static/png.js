// Pictures for taking away: parts with their titles, side by side or one below the other, as one PNG.

import { canvasFont } from "./canvas-text.js";
import { palette } from "./colour.js";
import { make } from "./dom.js";

const LONGEST_SIDE = 8000;
const TITLE = 28;
const GAP = 20;

/**
 * `parts`: [{title, width, height, paint(context)}…], so many in a row, each below its title if it has one.
 */
export function pngOf(parts, columns = 1) {
  const edge = parts.length > 1 || parts[0].title ? GAP : 0;
  const placed = [];
  let [width, top] = [0, edge];
  for (let start = 0; start < parts.length; start += columns) {
    let [left, height] = [edge, 0];
    for (const part of parts.slice(start, start + columns)) {
      const head = part.title ? TITLE : 0;
      placed.push({ part, left, top: top + head });
      left += part.width + edge;
      height = Math.max(height, part.height + head);
    }
    width = Math.max(width, left);
    top += height + edge;
  }
  return painted(placed, width, top);
}

function painted(placed, width, height) {
  const { card, ink } = palette();
  const scale = Math.min(2, LONGEST_SIDE / Math.max(width, height));
  const canvas = make("canvas", { width: Math.round(width * scale), height: Math.round(height * scale) });
  const context = canvas.getContext("2d");
  context.scale(scale, scale);
  context.fillStyle = card;
  context.fillRect(0, 0, width, height);
  for (const { part, left, top } of placed) {
    context.save();
    context.translate(left, top);
    context.fillStyle = ink;
    context.font = canvasFont(15, 600);
    if (part.title) context.fillText(part.title, 0, -10);
    part.paint(context);
    context.restore();
  }
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}
