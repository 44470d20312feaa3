// The page: each picture gets a card; a few are captioned at a time.

import {CaptionError, captionsOf} from "./captions.js";
import {Card} from "./cards.js";
import {pictureOf} from "./pictures.js";

// Enough for the server to batch; browsers open no more connections anyway.
const MAX_REQUESTS = 6;

const byId = (id) => document.getElementById(id);
const cards = new Set();
const queue = [];
// The AbortController of each request, by card.
const running = new Map();

function add(files) {
  for (const file of files) {
    const card = new Card(file, {onRemove: removeOne, onRetry: enqueue});
    cards.add(card);
    byId("cards").append(card.node);
    enqueue(card);
  }
  if (files.length) byId("said").textContent = "";
}

function enqueue(card) {
  stop(card);
  card.wait("Waiting…");
  queue.push(card);
  work();
}

/** Starts requests, up to the maximum number of concurrent ones. */
function work() {
  while (queue.length && running.size < MAX_REQUESTS) start(queue.shift());
  showStatus();
}

async function start(card) {
  const stopping = new AbortController();
  const {signal} = stopping;
  running.set(card, stopping);
  card.wait("Looking…");
  try {
    const captions = await captionsOf(await pictureOf(card.file), options(), {
      signal,
      onBusy: () => signal.aborted || card.wait("The server is busy. Waiting…"),
    });
    if (!signal.aborted) say(card, card.show(captions));
  } catch (error) {
    if (!signal.aborted) {
      const isKnown = error instanceof CaptionError;
      const message = isKnown ? error.message : "The page failed on this picture.";
      card.fail(message);
      say(card, message);
      if (!isKnown) throw error;
    }
  } finally {
    if (running.get(card) === stopping) running.delete(card);
    work();
  }
}

/** Cancels the request of a card, or takes the card out of the queue. */
function stop(card) {
  running.get(card)?.abort();
  running.delete(card);
  const index = queue.indexOf(card);
  if (index >= 0) queue.splice(index, 1);
}

function remove(card) {
  stop(card);
  cards.delete(card);
  card.remove();
}

function removeOne(card) {
  const all = [...cards];
  const index = all.indexOf(card);
  remove(card);
  const neighbour = all[index + 1] ?? all[index - 1];
  (neighbour ?? byId("files")).focus();
  work();
}

function options() {
  return Object.fromEntries(
    new FormData(byId("options").querySelector("form")),
  );
}

function showStatus() {
  const done = [...cards].filter(({isDone}) => isDone).length;
  const isPlural = cards.size !== 1;
  const all = `${cards.size} picture${isPlural ? "s" : ""}`;
  const text = done < cards.size ? `${done} of ${all} done` : all;
  if (byId("status").textContent !== text) byId("status").textContent = text;
  byId("bar").hidden = !cards.size;
  document.body.classList.toggle("filled", cards.size > 0);
}

/** Announces a result to screen readers. */
function say(card, text) {
  byId("said").textContent = `${card.file.name}: ${text}`;
}

function listen() {
  for (const input of [byId("files"), byId("camera")]) {
    input.addEventListener("change", () => {
      add([...input.files]);
      input.value = ""; // So that the same file can be chosen again.
    });
  }
  addEventListener("paste", (event) => add([...event.clipboardData.files]));
  addEventListener("dragover", (event) => {
    event.preventDefault();
    document.body.classList.add("dragging");
  });
  addEventListener("dragleave", (event) => {
    // Also fires when the pointer moves between elements inside.
    if (!event.relatedTarget) document.body.classList.remove("dragging");
  });
  addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("dragging");
    add([...event.dataTransfer.files]);
  });
  byId("options").addEventListener("change", () => cards.forEach(enqueue));
  byId("clear").addEventListener("click", () => {
    cards.forEach(remove);
    byId("files").focus();
    work();
  });
  addEventListener("offline", showConnection);
  addEventListener("online", showConnection);
}

function showConnection() {
  const isOnline = navigator.onLine;
  byId("offline").hidden = isOnline;
  byId("offline").textContent = isOnline
    ? ""
    : "This device is offline. Pictures can be captioned once it is back.";
}

async function describeModel() {
  const response = await fetch("model/metadata");
  const {vocab_size: size} = await response.json();
  byId("model").textContent =
    `The model knows ${size.toLocaleString("en")} words.`;
}

listen();
if (!navigator.onLine) showConnection();
// Optional: the page works without it.
describeModel().catch(() => {});
