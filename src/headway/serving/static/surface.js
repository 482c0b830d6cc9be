// A canvas of any size inside a scroller: only what is in sight is drawn, so 500 words cost what 30 do.

import { make } from "./dom.js";
import { pngOf } from "./png.js";

const FRAMES_KEPT = 240;

window.headwayFrames = [];

/**
 * Two layers: `paint(context, view)` draws the picture, `paintOver(context, view)` what changes with the
 * pointer. Both draw in the picture's own coordinates; `view` says which part is in sight. `sizeOf(width)`
 * gives the picture's size, given the width that there is. `onPoint({x, y} | null, pressed)` and
 * `onKey(event)` are optional.
 */
export class Surface {
  constructor({ label, sizeOf, paint, paintOver, onPoint, onKey }) {
    Object.assign(this, { sizeOf, paint, paintOver, onPoint, onKey });
    this.base = make("canvas", { "aria-hidden": "true" });
    this.over = make("canvas", { "aria-hidden": "true" });
    this.glass = make("div", { class: "glass" }, this.base, this.over);
    this.extent = make("div", { class: "extent" }, this.glass);
    const roles = onKey ? { tabindex: "0", role: "application" } : { tabindex: "0", role: "img" };
    this.element = make(
      "div",
      { class: "picture", id: "picture", "aria-label": label, ...roles },
      this.extent,
    );
    this.pending = new Set();
    this.frame = 0;
    this.listen();
  }

  listen() {
    this.observer = new ResizeObserver(() => this.resize());
    this.observer.observe(this.element);
    this.element.addEventListener("scroll", () => this.redraw(), { passive: true });
    if (this.onKey) this.element.addEventListener("keydown", (event) => this.onKey(event));
    if (!this.onPoint) return;
    const place = (event) => {
      const box = this.element.getBoundingClientRect();
      return {
        x: event.clientX - box.left + this.element.scrollLeft,
        y: event.clientY - box.top + this.element.scrollTop,
      };
    };
    this.element.addEventListener("pointermove", (event) => this.onPoint(place(event), false));
    this.element.addEventListener("pointerleave", () => this.onPoint(null, false));
    this.element.addEventListener("click", (event) => this.onPoint(place(event), true));
  }

  /** Tells screen readers what is to be seen now. */
  describe(text) {
    this.element.setAttribute("aria-label", text);
  }

  /** The picture has another size or shape. */
  resize() {
    const size = this.sizeOf(this.element.clientWidth);
    this.extent.style.width = `${size.width}px`;
    this.extent.style.height = `${size.height}px`;
    this.width = size.width;
    this.height = size.height;
    this.redraw();
  }

  /** Draw all in the next frame. */
  redraw() {
    this.pending.add("base");
    this.redrawOver();
  }

  /** Draw only what changes with the pointer, in the next frame. */
  redrawOver() {
    this.pending.add("over");
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      const begin = performance.now();
      this.frame = 0;
      if (this.pending.delete("base")) this.draw(this.base, this.paint);
      this.pending.clear();
      this.draw(this.over, this.paintOver);
      window.headwayFrames.push(performance.now() - begin);
      if (window.headwayFrames.length > FRAMES_KEPT) window.headwayFrames.shift();
    });
  }

  draw(canvas, paint) {
    const ratio = window.devicePixelRatio || 1;
    const width = Math.min(this.element.clientWidth, Math.ceil(this.width));
    const height = Math.min(this.element.clientHeight, Math.ceil(this.height));
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
      canvas.style.width = `${width}px`;
      canvas.style.height = `${height}px`;
    }
    const context = canvas.getContext("2d");
    const view = { left: this.element.scrollLeft, top: this.element.scrollTop, width, height };
    context.setTransform(ratio, 0, 0, ratio, -view.left * ratio, -view.top * ratio);
    context.clearRect(view.left, view.top, width, height);
    paint?.call(this, context, view);
  }

  /** Scroll so that this place is in sight. */
  reveal(x, y, margin = 40) {
    const { element } = this;
    const near = (start, length, at) =>
      Math.min(Math.max(start, at + margin - length), Math.max(0, at - margin));
    element.scrollLeft = near(element.scrollLeft, element.clientWidth, x);
    element.scrollTop = near(element.scrollTop, element.clientHeight, y);
  }

  /** The whole picture, not only what is in sight: a part of a PNG. */
  part(title = "") {
    const { width, height } = this;
    const paint = (context) => {
      const view = { left: 0, top: 0, width, height };
      this.paint(context, view);
      this.paintOver?.(context, view);
    };
    return { title, width, height, paint };
  }

  png() {
    return pngOf([this.part()]);
  }

  close() {
    this.observer.disconnect();
    cancelAnimationFrame(this.frame);
  }
}
