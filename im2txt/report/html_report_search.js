"use strict";
// The state of a view, and its search results in their order.

const NO_VIEW = {q: "", sort: "", show: "", page: 1, picture: 0};

/**
 * Reads the state of the view from the URL's hash.
 *
 * q: the search query; sort: the id of an order; show: "right", "wrong" or ""
 * for all; page: 1-based; picture: 1-based number, in the order of the report,
 * of the picture in the detail view, or 0.
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

/** Returns the hash of a view, without the default values. */
function hashOf(view) {
  const differing = Object.entries(view).filter(
    ([name, value]) => value !== NO_VIEW[name],
  );
  return "#" + new URLSearchParams(differing);
}

/** Prepares the entries of the report for searching and sorting. */
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

/** Removes case and accents. */
function fold(text) {
  return text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
}

// Characters of scripts that do not separate words by spaces.
const UNSPACED = new RegExp(
  "^[" +
    ["Han", "Hiragana", "Katakana", "Thai", "Lao", "Khmer", "Myanmar"]
      .map((script) => `\\p{Script=${script}}`)
      .join("") +
    "]",
  "u",
);

/**
 * Parses a query into terms: prefixes of words, or "whole words" in quotes.
 *
 * So `man` matches "man" and "manhole" but not "woman"; `"man"` matches only
 * the first. In file names a term matches anywhere.
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

/** Returns the matches of terms in a text, as ordered [start, end] pairs. */
function matchesIn(text, terms) {
  if (!terms.length) return [];
  const starts = []; // Position in `text` of each code unit of the folded text.
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

/** Returns the orders in which the pictures can be sorted, in groups. */
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

/** Compares by a number; pictures without it come last in both directions. */
function byNumber(valueOf, sign) {
  return (a, b) => {
    const [x, y] = [valueOf(a), valueOf(b)];
    if (x === null || y === null) return (x === null) - (y === null);
    return sign * (x - y);
  };
}

/** Returns the pictures that match a view, in its order. */
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
