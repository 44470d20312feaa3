"use strict";
// Which pictures are shown, in which order: a view's state, and what it finds.

const NO_VIEW = {q: "", sort: "", show: "", page: 1, picture: 0};

/**
 * Reads the state of the view from the address's hash.
 *
 * q: what to search for; sort: an order's id; show: "right", "wrong" or all;
 * page: counted from 1; picture: the one seen from near, counted from 1 in the
 * order of the report, or 0.
 */
function viewOf(hash) {
  const params = new URLSearchParams(hash.slice(1));
  const number = (name) => Math.max(Number.parseInt(params.get(name), 10), 0);
  return {
    q: params.get("q") ?? "",
    sort: params.get("sort") ?? "",
    show: params.get("show") ?? "",
    page: number("page") || 1,
    picture: number("picture") || 0,
  };
}

/** The hash of a view; says only what differs from the first view. */
function hashOf(view) {
  const differing = Object.entries(view).filter(
    ([name, value]) => value !== NO_VIEW[name],
  );
  return "#" + new URLSearchParams(differing);
}

/** Makes the report's entries ready to be searched and sorted. */
function picturesOf(entries) {
  return entries.map((entry, i) => ({
    ...entry,
    number: i + 1,
    scores: new Map(entry.scores),
    probability: entry.captions[0]?.[1] ?? null,
    verdict: {true: "right", false: "wrong"}[entry.isRight] ?? "",
    foldedName: fold(entry.name),
    foldedText: fold(
      [...entry.captions.map(([text]) => text), ...entry.references].join("\n"),
    ),
  }));
}

/** The text without case and accents. */
function fold(text) {
  return text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
}

// Of scripts that put no space between words.
const UNSPACED = new RegExp(
  "^[" +
    ["Han", "Hiragana", "Katakana", "Thai", "Lao", "Khmer", "Myanmar"]
      .map((script) => `\\p{Script=${script}}`)
      .join("") +
    "]",
  "u",
);

/**
 * The terms of a search: words begin as they do, "quoted words" are whole.
 *
 * So `man` finds "man" and "manhole" but not "woman", and `"man"` the first
 * only. File names hold a term anywhere.
 */
function termsOf(query) {
  return Array.from(
    query.matchAll(/"([^"]*)"?|[^\s"]+/g),
    ([term, phrase]) => ({
      text: fold(phrase ?? term).trim(),
      isWhole: !!phrase,
    }),
  )
    .filter(({text}) => text)
    .map(({text, isWhole}) => {
      const escaped = text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
      const isSpaced = (part) =>
        /^[\p{L}\p{N}]/u.test(part) && !UNSPACED.test(part);
      const start = isSpaced(text) ? "(?<![\\p{L}\\p{N}])" : "";
      const end = isWhole && isSpaced(text.at(-1)) ? "(?![\\p{L}\\p{N}])" : "";
      return {text, pattern: new RegExp(start + escaped + end, "u")};
    });
}

/** Where terms are in a text: [start, end] pairs, in order. */
function foundIn(text, terms) {
  if (!terms.length) return [];
  const starts = []; // In `text`, of each code unit of the folded text.
  let folded = "";
  let start = 0;
  for (const character of text) {
    const part = fold(character);
    folded += part;
    for (let i = 0; i < part.length; i++) starts.push(start);
    start += character.length;
  }
  starts.push(text.length);
  const any = terms.map(({pattern}) => pattern.source).join("|");
  return Array.from(folded.matchAll(new RegExp(any, "gu")), (match) => [
    starts[match.index],
    starts[match.index + match[0].length],
  ]);
}

/** All orders that these pictures can be shown in, by what they go by. */
function ordersOf(pictures) {
  const names = new Set(pictures.flatMap(({scores}) => [...scores.keys()]));
  const byName = new Intl.Collator(undefined, {numeric: true}).compare;
  const numberOrders = (group, valueOf, [low, high], [lowId, highId]) => [
    {group, id: lowId, label: low, compare: byNumber(valueOf, 1)},
    {group, id: highId, label: high, compare: byNumber(valueOf, -1)},
  ];
  return [
    {group: "", id: "", label: "As in the report", compare: () => 0},
    ...[...names].flatMap((name) =>
      numberOrders(
        name,
        ({scores}) => scores.get(name) ?? null,
        ["worst first", "best first"],
        [`worst ${name}`, `best ${name}`],
      ).map((order) => ({...order, score: name})),
    ),
    ...numberOrders(
      "Probability",
      ({probability}) => probability,
      ["lowest first", "highest first"],
      ["unlikely", "likely"],
    ),
    {
      group: "File name",
      id: "name",
      label: "A to Z",
      compare: (a, b) => byName(a.name, b.name),
    },
    {
      group: "File name",
      id: "name-reversed",
      label: "Z to A",
      compare: (a, b) => byName(b.name, a.name),
    },
  ];
}

/** Compares by a number; pictures that have none come last either way. */
function byNumber(valueOf, sign) {
  return (a, b) => {
    const [x, y] = [valueOf(a), valueOf(b)];
    if (x === null || y === null) return (x === null) - (y === null);
    return sign * (x - y);
  };
}

/** The pictures that a view finds, in its order. */
function findPictures(pictures, {q, show}, order) {
  const terms = termsOf(q);
  return pictures
    .filter(
      ({foldedName, foldedText, verdict}) =>
        (!show || verdict === show) &&
        terms.every(
          ({text, pattern}) =>
            pattern.test(foldedText) || foldedName.includes(text),
        ),
    )
    .sort(order.compare);
}
