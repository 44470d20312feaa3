"use strict";
// The page. User actions change the view, whose state is in the URL's hash;
// each view is rendered from the hash.

const PICTURES_PER_PAGE = 60;
// Delay between typing and searching, in milliseconds.
const PAUSE = 150;

const byId = (id) => document.getElementById(id);
const pictures = picturesOf(JSON.parse(byId("entries").textContent));
const orders = ordersOf(pictures);
const likeliest = pictures.reduce(
  (most, {captions}) => Math.max(most, ...captions.map(([, p]) => p ?? 0)),
  Number.MIN_VALUE,
);
const detail = new Detail(byId("detail"), go, leaveDetail);
let shown = null;

/** Returns what a view shows; searches again only if the search changed. */
function shownOf(view) {
  const isSame =
    shown &&
    ["q", "sort", "show"].every((name) => view[name] === shown.view[name]);
  const order = orders.find(({id}) => id === view.sort) ?? orders[0];
  const results = isSame ? shown.results : findPictures(pictures, view, order);
  const numPages = Math.max(Math.ceil(results.length / PICTURES_PER_PAGE), 1);
  const page = Math.min(view.page, numPages);
  return {
    view: {...view, page},
    order,
    results,
    numPages,
    terms: termsOf(view.q),
    likeliest,
  };
}

/** Goes to another view; `isNew` adds it to the browser's history. */
function visit(changes, {isNew = true} = {}) {
  const hash = hashOf({...shown.view, ...changes});
  if (isNew) {
    history.pushState(null, "", hash);
  } else {
    history.replaceState(null, "", hash);
  }
  render();
}

/** Renders the view in the hash. */
function render() {
  const before = shown;
  shown = shownOf(viewOf(location.hash));
  const {view} = shown;
  const isSamePage =
    before &&
    before.results === shown.results &&
    before.view.page === view.page &&
    before.view.q === view.q;
  if (isSamePage) {
    updateLinks();
  } else {
    renderGrid();
  }
  renderControls();
  const picture = pictures[view.picture - 1];
  if (picture) {
    detail.show(picture, shown.results.indexOf(picture), shown);
  } else {
    detail.hide();
  }
}

function renderGrid() {
  const {view, results} = shown;
  const start = (view.page - 1) * PICTURES_PER_PAGE;
  byId("grid").replaceChildren(
    ...results
      .slice(start, start + PICTURES_PER_PAGE)
      .map((picture) => cardOf(picture, shown)),
  );
  byId("nothing").hidden = results.length > 0;
}

/** Updates the cards' links to the current view. */
function updateLinks() {
  for (const link of byId("grid").querySelectorAll("a.frame")) {
    const picture = Number(link.parentElement.id.slice("picture-".length));
    link.setAttribute("href", hashOf({...shown.view, picture}));
  }
}

function renderControls() {
  const {view, order, results, numPages} = shown;
  const count = (number) => number.toLocaleString("en");
  const isAll = results.length === pictures.length;
  setText(
    byId("status"),
    (isAll ? "" : `${count(results.length)} of `) +
      `${count(pictures.length)} pictures` +
      (numPages > 1 ? `, page ${count(view.page)} of ${count(numPages)}` : ""),
  );
  if (byId("search").value.trim() !== view.q) byId("search").value = view.q;
  byId("sort").value = order.id;
  for (const radio of document.querySelectorAll("#show input")) {
    radio.checked = radio.value === view.show;
  }
  byId("pager").hidden = numPages === 1;
  byId("page").value = view.page;
  byId("page").max = numPages;
  byId("num-pages").textContent = count(numPages);
  byId("previous-page").disabled = view.page === 1;
  byId("next-page").disabled = view.page === numPages;
}

/** Sets a changed text; screen readers would announce it again otherwise. */
function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Shows another page from its top; the next Tab key focuses its first card. */
function turnTo(page) {
  visit({page: Math.min(Math.max(page || 1, 1), shown.numPages)});
  byId("results").scrollIntoView();
  byId("grid").focus({preventScroll: true});
}

/** Moves the detail view by `step` pictures. */
function go(step) {
  const {results, view} = shown;
  const index = results.indexOf(pictures[view.picture - 1]);
  if (index < 0 || !results[index + step]) return;
  visit(placeOf(index + step), {isNew: false});
}

/** Returns the page and number of the picture at an index. */
function placeOf(index) {
  return {
    page: Math.floor(index / PICTURES_PER_PAGE) + 1,
    picture: shown.results[index].number,
  };
}

/** Removes the picture of the detail view from the view, if it has one. */
function leaveDetail() {
  const {picture} = shown.view;
  if (!picture) return;
  visit({picture: 0});
  document.querySelector(`#picture-${picture} a.frame`)?.focus();
}

function fillControls() {
  const groups = Map.groupBy(orders, ({group}) => group);
  for (const [group, members] of groups) {
    const options = members.map(({id, label}) =>
      element("option", {value: id}, group ? `${group}: ${label}` : label),
    );
    byId("sort").append(
      ...(group ? [element("optgroup", {label: group}, ...options)] : options),
    );
  }
  const numOf = (verdict) =>
    pictures.filter((picture) => picture.verdict === verdict).length;
  const counts = {right: numOf("right"), wrong: numOf("wrong")};
  byId("show").hidden = !counts.right && !counts.wrong;
  for (const radio of document.querySelectorAll("#show input")) {
    radio.nextElementSibling.textContent = (
      counts[radio.value] ?? pictures.length
    ).toLocaleString("en");
  }
}

function listen() {
  let timer = 0;
  const search = () => {
    clearTimeout(timer);
    const q = byId("search").value.trim();
    if (q === shown.view.q) return;
    // Further typing changes the same entry of the browser's history.
    visit({q, page: 1}, {isNew: !q || !shown.view.q});
  };
  byId("search").addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(search, PAUSE);
  });
  byId("controls").addEventListener("submit", (event) => {
    event.preventDefault();
    search();
  });
  byId("sort").addEventListener("change", ({target}) =>
    visit({sort: target.value, page: 1}),
  );
  byId("show").addEventListener("change", ({target}) =>
    visit({show: target.value, page: 1}),
  );
  byId("show-all").addEventListener("click", () => {
    visit({q: "", show: "", page: 1});
    byId("search").focus();
  });
  byId("previous-page").addEventListener("click", () =>
    turnTo(shown.view.page - 1),
  );
  byId("next-page").addEventListener("click", () =>
    turnTo(shown.view.page + 1),
  );
  byId("page").addEventListener("change", ({target}) =>
    turnTo(Math.round(target.valueAsNumber)),
  );
  addEventListener("popstate", render);
}

fillControls();
listen();
render();
