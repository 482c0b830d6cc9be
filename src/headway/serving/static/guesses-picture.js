// The layers' guesses as a picture: the table of the page, drawn.

import { canvasFont, fitted } from "./canvas-text.js";
import { isDeep, palette, shade } from "./colour.js";
import { percent, visibleText } from "./dom.js";

const CELL = 92;
const ROW = 40;
const LEFT = 110;
const MARGIN = 12;

/** The last layer on top, the tokens that are read below: a part of a PNG. */
export function guessesPart(tokens, layers) {
  const paint = (context) => {
    const { ink, scale } = palette();
    const bottom = MARGIN + layers.length * ROW;
    const write = (text, x, y, pixels, weight) => {
      context.font = canvasFont(pixels, weight);
      context.fillText(fitted(context, text, CELL - 8), x, y);
    };
    context.textBaseline = "middle";
    layers.forEach((positions, layer) => {
      const top = bottom - (layer + 1) * ROW;
      context.fillStyle = ink;
      context.textAlign = "left";
      context.font = canvasFont(12);
      context.fillText(`after layer ${layer + 1}`, MARGIN, top + ROW / 2);
      context.textAlign = "center";
      tokens.forEach((_, index) => {
        const best = positions[index]?.[0];
        if (!best) return;
        const byte = 230 * best.probability; // as the page shades it
        context.fillStyle = shade(scale, byte);
        context.fillRect(LEFT + index * CELL + 1, top + 1, CELL - 2, ROW - 2);
        context.fillStyle = isDeep(scale, byte) ? "#ffffff" : "#14171c";
        write(visibleText(best.text), LEFT + (index + 0.5) * CELL, top + ROW * 0.36, 13);
        write(percent(best.probability), LEFT + (index + 0.5) * CELL, top + ROW * 0.73, 10);
      });
    });
    context.fillStyle = ink;
    context.textAlign = "left";
    context.font = canvasFont(12);
    context.fillText("reads", MARGIN, bottom + ROW / 2);
    context.textAlign = "center";
    tokens.forEach((token, index) =>
      write(visibleText(token), LEFT + (index + 0.5) * CELL, bottom + ROW / 2, 13, 600),
    );
  };
  const width = LEFT + tokens.length * CELL + MARGIN;
  return { title: "", width, height: (layers.length + 1) * ROW + 2 * MARGIN, paint };
}
