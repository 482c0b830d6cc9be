// What follows from the kind of model: which texts it takes, which attention it has.

import { field, make, textArea } from "./dom.js";

/** The kinds of attention of a model, as [value, label, in words]. */
export function stacksOf(model) {
  if (model.architecture === "encoder") return [["encoder", "Encoder", "encoder, looking at itself"]];
  if (model.architecture === "decoder") return [["decoder", "Decoder", "decoder, looking back at itself"]];
  return [
    ["encoder", "Encoder", "encoder, looking at itself"],
    ["decoder", "Decoder", "decoder, looking back at itself"],
    ["memory", "Cross", "decoder, looking at the source"],
  ];
}

/** What the first view does with this model. */
export function verbOf(model) {
  return { "encoder-decoder": "Translate", encoder: "Fill", decoder: "Complete" }[model.architecture];
}

/** The part of a request that names model and text, or null where there is no text yet. */
export function textBody({ model, params }) {
  const text = (params.get("text") ?? "").trim();
  if (!model.has_source) return text ? { model: model.name, text } : null;
  const source = (params.get("source") ?? "").trim();
  if (!source) return null;
  return text ? { model: model.name, source, text } : { model: model.name, source };
}

/**
 * Where the text, or source and output, are written; `onInput` hears of changes once the address knows them.
 */
export function textFields(page, onInput) {
  const area = (id, placeholder) =>
    textArea(id, page.params.get(id) ?? "", placeholder, (value) => {
      page.remember({ [id]: value });
      onInput();
    });
  if (!page.model.has_source)
    return make("div", { class: "inputs" }, field("Text", area("text", "Write a text to look into")));
  return make(
    "div",
    { class: "inputs two" },
    field("Source", area("source", "What the model reads")),
    field("Output", area("text", "Empty: what the model itself writes")),
  );
}

/** What the setting of the address is called that holds what the model reads. */
export function inputName(model) {
  return model.has_source ? "source" : "text";
}

/** The one text that a model reads, where its output is searched for. */
export function inputField(page, label, placeholder, onInput) {
  const name = inputName(page.model);
  const area = textArea("input", page.params.get(name) ?? "", placeholder, (value) => {
    page.remember({ [name]: value });
    onInput(value);
  });
  return field(label, area);
}
