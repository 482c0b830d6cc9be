// The page: which model, which view, and what goes wrong.

import { addressOf, readAddress, replaceAddress } from "./address.js";
import { AttentionView } from "./attention-view.js";
import { CompleteView } from "./complete-view.js";
import { emptyState, fill, make } from "./dom.js";
import { FillView } from "./fill-view.js";
import { GuessesView } from "./guesses-view.js";
import { MasksView } from "./masks-view.js";
import { PositionsView } from "./positions-view.js";
import { askKey } from "./key.js";
import { savePicture, saveView } from "./save.js";
import { fetchJson, forgetHeard, isKept, isSavedFile, onKeyNeeded } from "./source.js";
import { setUpTheme } from "./theme.js";
import { TrainingView } from "./training-view.js";
import { TranslateView } from "./translate-view.js";
import { TreeView } from "./tree-view.js";
import { verbOf } from "./model-facts.js";

const SECONDS_BETWEEN_LOOKS = 2;
const SHARED = ["model", "text", "source"]; // settings that one view hands to the next

const place = (id) => document.getElementById(id);
const world = { models: [], runs: [], view: null, open: null, params: new URLSearchParams(), png: null };

/**
 * Views in the order of the menu: name, label, class, and the path that a saved file needs an answer from.
 */
function viewsFor(model) {
  const use = { Translate: TranslateView, Fill: FillView, Complete: CompleteView };
  const forModel = model
    ? [
        [
          "use",
          verbOf(model),
          use[verbOf(model)],
          model.architecture === "decoder" ? "/api/next" : "/api/predict",
        ],
        ["attention", "Attention", AttentionView, "/attention"],
        model.architecture === "encoder" ? null : ["tree", "Search tree", TreeView, "/search-tree"],
        ["guesses", "Layers’ guesses", GuessesView, "/guesses"],
        ["positions", "Positions", PositionsView, "/positions"],
        ["masks", "Masks", MasksView, "/masks"],
      ]
    : [];
  const training = world.runs.length ? ["training", "Training", TrainingView, "/api/runs"] : null;
  return [...forModel, training].filter((view) => view && (!isSavedFile() || isKept(view[3])));
}

function modelOf(params) {
  return world.models.find(({ name }) => name === params.get("model")) ?? world.models[0] ?? null;
}

/** Open the view that the address names. */
async function openView() {
  const { view: asked, params } = readAddress();
  const model = modelOf(params);
  const views = viewsFor(model);
  const [view, label, View] = views.find(([name]) => name === asked) ?? views[0] ?? [];
  world.open?.close();
  Object.assign(world, { view, params, open: null, png: null });
  if (model) params.set("model", model.name);
  showFrame(views, view, model);
  forgetHeard();
  fail(null);
  if (!view) return nothingServed();
  document.title = `${label} · Headway`;
  place("view").dataset.view = view;
  const page = { model, params, runs: world.runs, show, busy, say, fail, remember, offerPng };
  offerPng(null);
  busy(true);
  try {
    world.open = new View(page);
    await world.open.open();
  } catch (error) {
    fail(error);
  }
  if (isSavedFile()) for (const area of document.querySelectorAll("textarea")) area.readOnly = true;
  busy(false);
}

/** Models may still be loading, or a run may be about to end with one. */
function nothingServed() {
  show(emptyState("No model yet", "It appears here as soon as the server has loaded it."));
  busy(true);
}

/** As long as there is no model, look for one; then open the view that was asked for. */
async function watchForModels() {
  while (!world.models.length && !isSavedFile()) {
    await new Promise((resolve) => setTimeout(resolve, SECONDS_BETWEEN_LOOKS * 1000));
    const answer = await fetchJson("/api/models").catch(() => null);
    if (!answer?.models.length) continue;
    takeIn(answer);
    openView();
  }
}

function takeIn(answer) {
  Object.assign(world, { models: answer.models ?? [], runs: answer.runs ?? [] });
  fill(
    place("model-choice"),
    world.models.map(({ name }) => make("option", { value: name }, name)),
  );
}

function showFrame(views, current, model) {
  const links = views.map(([name, label]) => {
    const link = make("a", { data: { view: name } }, label);
    if (name === current) link.setAttribute("aria-current", "page");
    return link;
  });
  fill(place("views"), links);
  pointLinks();
  place("views").querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
  place("model-field").hidden = world.models.length < 2;
  place("model-choice").value = model?.name ?? "";
  place("share").hidden = isSavedFile() || !current;
}

/** The links of the menu lead to the other views of the same text. */
function pointLinks() {
  const kept = new URLSearchParams();
  for (const name of SHARED) kept.set(name, world.params.get(name) ?? "");
  for (const link of place("views").children) link.href = addressOf(link.dataset.view, kept);
}

function show(...children) {
  fill(place("view"), children);
}

function busy(is) {
  place("view").setAttribute("aria-busy", String(is));
}

/** Read out by screen readers, unseen. */
function say(text) {
  place("status").textContent = text;
}

function fail(error) {
  const box = place("error");
  box.hidden = !error;
  if (!error) return box.replaceChildren();
  if (!("status" in error)) console.error(error); // none of those that are told to people, so a fault of ours
  const close = make(
    "button",
    { type: "button", class: "quiet", "aria-label": "Close", on: { click: () => fail(null) } },
    "✕",
  );
  fill(box, make("span", {}, error.message || String(error)), close);
  return busy(false);
}

/** Note settings of the view in the address; null and empty take them out. */
function remember(changes) {
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === "") world.params.delete(name);
    else world.params.set(name, String(value));
  }
  replaceAddress(addressOf(world.view, world.params));
  pointLinks();
}

/** The picture that the PNG button saves; null where there is none. */
function offerPng(png) {
  world.png = png;
  place("png").hidden = !png;
}

async function share() {
  busy(true);
  try {
    await world.open.prepareToSave?.();
    await saveView(world.view, addressOf(world.view, world.params));
    say("Saved.");
  } catch (error) {
    fail(error.status === 404 ? new Error("This server cannot save pages.") : error);
  }
  busy(false);
}

function listen() {
  place("model-choice").addEventListener("change", (event) => {
    world.params.set("model", event.target.value);
    location.hash = addressOf(world.view ?? "use", new URLSearchParams({ model: event.target.value }));
  });
  place("share").addEventListener("click", share);
  place("png").addEventListener("click", () => savePicture(world.view, world.png).catch(fail));
  addEventListener("hashchange", openView);
  document.querySelector(".skip").addEventListener("click", (event) => {
    event.preventDefault(); // the address says which view it is
    place("view").focus();
  });
}

async function start() {
  setUpTheme(place("theme"), () => world.open?.recolour?.());
  onKeyNeeded(() => askKey(place("view")));
  listen();
  try {
    takeIn(await fetchJson("/api/models"));
  } catch (error) {
    show(emptyState("No answer from the server", error.message));
    return busy(false);
  }
  watchForModels();
  return openView();
}

start();
