// A server may want a key: it is asked for once, and kept until the tab is closed.

import { field, fill, make } from "./dom.js";
import { keepKey } from "./source.js";

/** Asks for the key in place of the view; resolves to true once one was entered. */
export function askKey(where) {
  return new Promise((resolve) => {
    const input = make("input", {
      id: "key",
      type: "password",
      autocomplete: "current-password",
      required: true,
    });
    const form = make(
      "form",
      { class: "card key" },
      field("This server wants a key", input),
      make("button", { class: "strong" }, "Go on"),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      keepKey(input.value);
      resolve(true);
    });
    fill(where, form);
    where.setAttribute("aria-busy", "false");
    input.focus();
  });
}
