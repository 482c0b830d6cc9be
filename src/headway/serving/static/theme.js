// Light or dark: as the system says, until the person says otherwise.

import { forgetPalette } from "./colour.js";

const THEMES = ["auto", "light", "dark"];
const NAMES = { auto: "as the system", light: "light", dark: "dark" };
const SIGNS = { auto: "◐", light: "☀", dark: "☾" };

/** Makes a button that goes round the themes; `onChange` hears when colours have changed. */
export function setUpTheme(button, onChange) {
  let theme = stored();
  const apply = () => {
    document.documentElement.dataset.theme = theme;
    button.textContent = SIGNS[theme];
    button.setAttribute("aria-label", `Colours: ${NAMES[theme]}`);
    button.title = `Colours: ${NAMES[theme]}`;
    forgetPalette();
    onChange();
  };
  button.addEventListener("click", () => {
    theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
    store(theme);
    apply();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", apply);
  apply();
}

/** A saved file opened from disk may have no storage of its own. */
function stored() {
  try {
    const theme = localStorage.getItem("headway-theme");
    return THEMES.includes(theme) ? theme : "auto";
  } catch {
    return "auto";
  }
}

function store(theme) {
  try {
    localStorage.setItem("headway-theme", theme);
  } catch {
    // then it holds until the page is closed
  }
}
