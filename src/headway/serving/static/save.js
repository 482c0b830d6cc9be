// What a person takes away: the view as one file, or its picture.

import { heardAnswers, savedPage } from "./source.js";

/** Save the view, with the answers behind it, as a file that opens without a server. */
export async function saveView(view, hash) {
  download(await savedPage(hash, heardAnswers()), `headway-${view}.html`);
}

/** Save a picture. */
export async function savePicture(view, png) {
  download(await png(), `headway-${view}.png`);
}

function download(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
