// An output token by token, shaded by doubt, each with what else it might have been.

import { fill, make, percent, unbroken, visibleText } from "./dom.js";
import { showBars } from "./bars.js";

/**
 * Puts an output into `where`. `given` is what it had to begin with; `onChoose(index, text)` hears when
 * another token is chosen in place of the one at `index`.
 */
export function showTokens(where, output, given, onChoose) {
  const tokens = output.tokens.filter(({ text }) => text !== "");
  const whole = tokens.map(({ text }) => text).join("");
  const start = given && !whole.startsWith(given) ? make("span", { class: "given" }, given) : null;
  const parts = tokens.map((token, index) => ({
    before: token.text.trim() ? token.text.match(/^\s*/)[0] : "", // outside of the button: words are shaded
    element: tokenButton(token, index, where, (text) => onChoose(index, text)),
    after: token.text.trim() ? "" : token.text.replace(/[^\n]/g, ""),
    length: token.text.length,
  }));
  fill(where, start, unbroken(parts));
}

/** The text before a token of an output, given what the output had to begin with. */
export function textBefore(output, index, given) {
  const tokens = output.tokens.filter(({ text }) => text !== "").map(({ text }) => text);
  const whole = tokens.join("");
  return (given && !whole.startsWith(given) ? given : "") + tokens.slice(0, index).join("");
}

function tokenButton(token, index, where, onChoose) {
  const known = typeof token.log_prob === "number";
  const share = known ? Math.exp(token.log_prob) : 1;
  const name = known
    ? `${visibleText(token.text).trim() || "space"}, ${percent(share)}`
    : visibleText(token.text).trim();
  const button = make(
    "button",
    {
      type: "button",
      class: "token",
      "aria-label": name,
      title: known ? percent(share) : null,
      data: { index },
    },
    token.text.trim() || visibleText(token.text),
  );
  button.style.setProperty("--doubt", 1 - share);
  if (!token.alternatives?.length) {
    button.disabled = true;
    return button;
  }
  button.setAttribute("aria-haspopup", "dialog");
  button.addEventListener("click", () => openAlternatives(button, token, where, onChoose));
  return button;
}

/** A small window below a token with its alternatives; Escape or a click elsewhere closes it. */
function openAlternatives(button, token, where, onChoose) {
  const list = make("ol", { class: "bars" });
  const name = `Instead of ${token.text.trim() || "space"}`;
  const dialog = make(
    "dialog",
    { id: "alternatives", "aria-label": name },
    make("p", { class: "hint" }, "Choose another, and the rest is written anew"),
    list,
  );
  const others = token.alternatives.filter(({ text }) => text !== token.text);
  const candidates = [token, ...others]
    .map(({ text, log_prob }) => ({ text, probability: Math.exp(log_prob) }))
    .sort((one, other) => other.probability - one.probability);
  const close = () => dialog.close();
  showBars(
    list,
    candidates,
    (text) => {
      close();
      onChoose(text);
    },
    token.text,
  );
  dialog.addEventListener("close", () => {
    dialog.remove();
    if (button.isConnected) button.focus();
  });
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) close();
  });
  dialog.addEventListener("keydown", moveFocus);
  where.parentElement.append(dialog);
  dialog.showModal();
  placeBelow(dialog, button);
  (dialog.querySelector("[aria-current]") ?? dialog.querySelector("button"))?.focus();
}

function moveFocus(event) {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step) return;
  event.preventDefault();
  const buttons = [...event.currentTarget.querySelectorAll("button")];
  buttons[(buttons.indexOf(document.activeElement) + step + buttons.length) % buttons.length].focus();
}

function placeBelow(dialog, button) {
  const at = button.getBoundingClientRect();
  const own = dialog.getBoundingClientRect();
  const left = Math.min(at.left, window.innerWidth - own.width - 12);
  const below = at.bottom + 6;
  const top = below + own.height > window.innerHeight ? Math.max(8, at.top - own.height - 6) : below;
  dialog.style.left = `${Math.max(8, left)}px`;
  dialog.style.top = `${top}px`;
}

/** The key to the shading. */
export function doubtLegend() {
  const steps = [0, 0.25, 0.5, 0.75, 1].map((doubt) => {
    const step = make("span", {});
    step.style.setProperty("--doubt", doubt);
    return step;
  });
  return make(
    "p",
    { class: "legend" },
    "sure ",
    make("span", { class: "steps", "aria-hidden": "true" }, steps),
    " in doubt · click a word for others",
  );
}
