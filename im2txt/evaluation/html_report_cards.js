"use strict";
// What is shown of a picture. Text is only ever set as text, never as HTML.

// The view from near has all.
const CAPTIONS_A_CARD = 5;

/** Makes an element; children are nodes or texts. */
function element(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

/** The text's parts, those that were searched for marked. */
function marked(text, terms) {
  const parts = [];
  let done = 0;
  for (const [start, end] of foundIn(text, terms)) {
    parts.push(
      text.slice(done, start),
      element("mark", {}, text.slice(start, end)),
    );
    done = end;
  }
  return [...parts, text.slice(done)];
}

/** The file of a picture, or a placeholder where there is none. */
function imageOf(picture, file) {
  const placeholder = () =>
    element(
      "div",
      {class: "unreadable", role: "img", "aria-label": picture.name},
      "This image can’t be read",
    );
  if (!file) return placeholder();
  const image = element("img", {src: file, alt: picture.name});
  image.addEventListener("error", () => image.replaceWith(placeholder()));
  return image;
}

/** A probability as run_inference names it; captions' are often tiny. */
function probabilityOf(value) {
  if (value === null) return [];
  const isTiny = value > 0 && value < 0.001;
  return [
    element(
      "span",
      {class: "number", title: "probability"},
      element("small", {}, "p="),
      isTiny ? value.toExponential(1) : value.toFixed(3),
    ),
  ];
}

/** The captions with probabilities; the bars are shares of `likeliest`. */
function captionList({captions}, {terms, likeliest}) {
  if (!captions.length) {
    return element("p", {class: "none"}, "No caption");
  }
  return element(
    "ol",
    {class: "captions", "aria-label": "Captions, with probabilities"},
    ...captions.map(([text, probability]) => {
      const bar = element("div", {class: "bar"});
      bar.style.width = `${(100 * (probability ?? 0)) / likeliest}%`;
      const shown = text.trim()
        ? element("span", {dir: "auto"}, ...marked(text, terms))
        : element("span", {class: "none"}, "Empty caption");
      return element(
        "li",
        {},
        element("div", {class: "row"}, shown, ...probabilityOf(probability)),
        element("div", {class: "track"}, bar),
      );
    }),
  );
}

/** The scores; the one that the pictures are sorted by stands out. */
function scoreList({scores}, {order}) {
  return element(
    "dl",
    {class: "scores", "aria-label": "Scores"},
    ...Array.from(scores, ([name, value]) =>
      element(
        "div",
        name === order.score ? {class: "sorted"} : {},
        element("dt", {}, name),
        element("dd", {class: "number"}, value?.toFixed(3) ?? "–"),
      ),
    ),
  );
}

function referenceList({references}, {terms}) {
  return element(
    "ul",
    {class: "references"},
    ...references.map((reference) =>
      element("li", {dir: "auto"}, ...marked(reference, terms)),
    ),
  );
}

function verdictOf({verdict}) {
  const shown = {right: "✓ right", wrong: "✗ wrong"}[verdict];
  return shown ? [element("p", {class: "verdict"}, shown)] : [];
}

/** A picture in the grid; its image links to the view from near. */
function cardOf(picture, shown) {
  const {captions, references, scores, name} = picture;
  const more = captions.length - CAPTIONS_A_CARD;
  const found = shown.terms.length
    ? references.some((text) => foundIn(text, shown.terms).length)
    : false;
  const details = element(
    "details",
    found ? {open: ""} : {},
    element(
      "summary",
      {},
      `${references.length} reference${references.length === 1 ? "" : "s"}`,
    ),
    referenceList(picture, shown),
  );
  return element(
    "article",
    {class: `card ${picture.verdict}`, id: `picture-${picture.number}`},
    element(
      "a",
      {
        class: "frame",
        href: hashOf({...shown.view, picture: picture.number}),
        "aria-label": `Enlarge ${name}`,
      },
      imageOf(picture, picture.thumbnail),
    ),
    element(
      "div",
      {class: "text"},
      ...verdictOf(picture),
      captionList({captions: captions.slice(0, CAPTIONS_A_CARD)}, shown),
      ...(more > 0 ? [element("p", {class: "more"}, `and ${more} more`)] : []),
      ...(scores.size ? [scoreList(picture, shown)] : []),
      ...(references.length ? [details] : []),
      element("p", {class: "name"}, ...marked(name, shown.terms)),
    ),
  );
}
