// Colours for canvases, read from the style sheet so that light and dark are decided in one place.

const PROBE = document.createElement("span");
let cached = null;

/** Colours of the present theme: `ink`, `muted`, `line`, `ground`, `accent`, `heads` (eight) and `scale`. */
export function palette() {
  if (cached) return cached;
  PROBE.hidden = true;
  document.body.append(PROBE);
  const read = (name) => {
    PROBE.style.color = `var(--${name})`;
    return getComputedStyle(PROBE).color;
  };
  const names = ["ink", "muted", "line", "edge", "ground", "card", "accent", "warm", "chosen"];
  cached = Object.fromEntries(names.map((name) => [name, read(name)]));
  cached.heads = Array.from({ length: 8 }, (_, index) => read(`head-${index}`));
  cached.scale = blended(["scale-0", "scale-1", "scale-2", "scale-3"].map((name) => numbers(read(name))));
  cached.diverging = blended(["scale-cold", "scale-0", "scale-hot"].map((name) => numbers(read(name))));
  PROBE.remove();
  return cached;
}

/** Called when light turns dark: the colours are read anew. */
export function forgetPalette() {
  cached = null;
}

/**
 * One of the eight colours that tell heads apart: Okabe and Ito's, which the colour-blind can tell apart
 * too.
 */
export function headColour(index) {
  return palette().heads[index % 8];
}

/** A colour of a 256-step scale, as CSS. */
export function shade(scale, byte) {
  const at = 3 * Math.max(0, Math.min(255, Math.round(byte)));
  return `rgb(${scale[at]} ${scale[at + 1]} ${scale[at + 2]})`;
}

/** Whether text on this colour is to be light: by its luminance, to keep the contrast. */
export function isDeep(scale, byte) {
  const at = 3 * Math.max(0, Math.min(255, Math.round(byte)));
  return 0.299 * scale[at] + 0.587 * scale[at + 1] + 0.114 * scale[at + 2] < 140;
}

function numbers(colour) {
  return colour
    .match(/[\d.]+/g)
    .slice(0, 3)
    .map(Number);
}

/** 256 colours through the given ones, blended in OKLab, where equal steps look equal. */
function blended(stops) {
  const labs = stops.map(toLab);
  const scale = new Uint8ClampedArray(3 * 256);
  for (let byte = 0; byte < 256; byte += 1) {
    const place = (byte / 255) * (labs.length - 1);
    const first = Math.min(Math.floor(place), labs.length - 2);
    const share = place - first;
    scale.set(
      fromLab(labs[first].map((value, axis) => value + share * (labs[first + 1][axis] - value))),
      3 * byte,
    );
  }
  return scale;
}

function toLab(rgb) {
  const [r, g, b] = rgb.map((value) => {
    const c = value / 255;
    return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  });
  const l = Math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
  const m = Math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
  const s = Math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
  return [
    0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s,
    1.9779984951 * l - 2.428592205 * m + 0.4505937099 * s,
    0.0259040371 * l + 0.7827717662 * m - 0.808675766 * s,
  ];
}

function fromLab([lightness, a, b]) {
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
  const linear = [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ];
  return linear.map((c) => 255 * (c <= 0.0031308 ? 12.92 * c : 1.055 * Math.max(c, 0) ** (1 / 2.4) - 0.055));
}
