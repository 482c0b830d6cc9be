// Elements made by hand. Text only ever enters as text nodes: what a model says is never read as HTML.

const LONGEST_UNBROKEN = 24;

/**
 * An element: `settings` are attributes, `on` its listeners, `data` its data-*; children are nodes or text.
 */
export function make(tag, settings = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(settings)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "on")
      for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    else if (name === "data") Object.assign(element.dataset, value);
    else if (name === "value" || name === "checked") element[name] = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return element;
}

/** Replaces all that an element holds. */
export function fill(element, ...children) {
  element.replaceChildren(
    ...children.flat(Infinity).filter((child) => child !== null && child !== undefined),
  );
  return element;
}

/** A labelled control: the label above, the control below, a hint if there is one. */
export function field(label, control, hint) {
  const described = hint ? make("small", { id: `${control.id}-hint` }, hint) : null;
  if (described) control.setAttribute("aria-describedby", described.id);
  return make("div", { class: "field" }, make("label", { for: control.id }, label), control, described);
}

/** Radio buttons that look like one segmented switch. `options` are [value, label] pairs. */
export function segments(id, label, options, chosen, onChange) {
  const buttons = options.map(([value, text]) => {
    const input = make("input", { type: "radio", name: id, value, checked: value === chosen });
    input.addEventListener("change", () => onChange(value));
    return make("label", {}, input, make("span", {}, text));
  });
  return make("fieldset", { id, class: "segments" }, make("legend", {}, label), make("div", {}, buttons));
}

/** A slider with its value beside its name. `show` turns the number into what is read. */
export function slider(id, label, range, value, show, onInput) {
  const output = make("output", { for: id }, show(value));
  const input = make("input", { id, type: "range", ...range, value, "aria-valuetext": show(value) });
  input.addEventListener("input", () => {
    const now = Number(input.value);
    output.textContent = show(now);
    input.setAttribute("aria-valuetext", show(now));
    onInput(now);
  });
  return make(
    "div",
    { class: "field slider" },
    make("label", { for: id }, make("span", {}, label), output),
    input,
  );
}

export function checkbox(id, label, checked, onChange) {
  const input = make("input", { id, type: "checkbox", checked });
  input.addEventListener("change", () => onChange(input.checked));
  return make("label", { class: "check" }, input, make("span", {}, label));
}

/** A text area that grows with what it holds, up to the height that the style sheet allows. */
export function textArea(id, value, placeholder, onInput) {
  const area = make("textarea", {
    id,
    rows: 2,
    placeholder,
    spellcheck: "false",
    autocomplete: "off",
    value,
  });
  const grow = () => {
    area.style.height = "auto";
    area.style.height = `${area.scrollHeight + 2}px`;
  };
  area.addEventListener("input", () => {
    grow();
    onInput(area.value);
  });
  requestAnimationFrame(grow);
  return area;
}

/** A place that says why there is nothing to see yet. */
export function emptyState(title, hint) {
  return make("div", { class: "empty" }, make("strong", {}, title), make("p", {}, hint));
}

/**
 * Parts {before, element, after, length} of a text, with the blanks around: where there are none, no line
 * is broken. Browsers would, since buttons are boxes to them.
 */
export function unbroken(parts) {
  const out = [];
  let word = null;
  let length = 0;
  for (const part of parts) {
    length = part.before || !word ? part.length : length + part.length;
    if (part.before || !word || length > LONGEST_UNBROKEN) {
      word = make("span", { class: "unbroken" });
      out.push(part.before, word);
    }
    word.append(part.element);
    if (part.after) {
      out.push(part.after);
      word = null;
    }
  }
  return out;
}

/** A share as people read it: 93 %, 4.2 %, below 0.1 %. */
export function percent(share) {
  if (share >= 0.0995) return `${Math.round(share * 100)} %`;
  if (share >= 0.001) return `${(share * 100).toFixed(1)} %`;
  return share > 0 ? "< 0.1 %" : "0 %";
}

/** A token as it is shown: blanks as light dots, line ends as arrows. */
export function visibleText(text) {
  if (text === "") return "∅";
  return text
    .replaceAll("\n", "↵")
    .replace(/^[ ▁]+/, (blanks) => "·".repeat(blanks.length))
    .replaceAll("▁", "·");
}

/** A word as it is read out: the mark for a blank before it left out. */
export function spoken(token) {
  return token.replaceAll("▁", " ").trim() || "space";
}
