"use strict";
// The elements of a picture. Text is always set as text, never as HTML.

// The detail view shows all captions.
const CAPTIONS_PER_CARD = 5;

/** Creates an element; children are nodes or strings. */
function element(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

/** Returns the parts of a text, with matches of the search marked. */
function marked(text, terms) {
  const parts = [];
  let done = 0;
  for (const [start, end] of matchesIn(text, terms)) {
    parts.push(
      text.slice(done, start),
      element("mark", {}, text.slice(start, end)),
    );
    done = end;
  }
  return [...parts, text.slice(done)];
}

/** Returns an image element, or a placeholder if the file is missing. */
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

/** Formats a probability, labelled as in run_inference; often very small. */
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

/** Returns the captions; their bars are relative to `likeliest`. */
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

/** Returns the scores, with the one used for sorting highlighted. */
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

/** Returns a picture of the grid; its image links to the detail view. */
function cardOf(picture, shown) {
  const {captions, references, scores, name} = picture;
  const more = captions.length - CAPTIONS_PER_CARD;
  const hasMatch = shown.terms.length
    ? references.some((text) => matchesIn(text, shown.terms).length)
    : false;
  const details = element(
    "details",
    hasMatch ? {open: ""} : {},
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
      captionList({captions: captions.slice(0, CAPTIONS_PER_CARD)}, shown),
      ...(more > 0 ? [element("p", {class: "more"}, `and ${more} more`)] : []),
      ...(scores.size ? [scoreList(picture, shown)] : []),
      ...(references.length ? [details] : []),
      element("p", {class: "name"}, ...marked(name, shown.terms)),
    ),
  );
}
