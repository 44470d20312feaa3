"use strict";
// The page: what its user does changes the view, which the address's hash says;
// and each view is drawn from there.

const PICTURES_A_PAGE = 60;
// How long a pause in typing is, in milliseconds.
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

/** What is to be shown of a view. Finds again only what may have changed. */
function shownOf(view) {
  const isSame =
    shown &&
    ["q", "sort", "show"].every((name) => view[name] === shown.view[name]);
  const order = orders.find(({id}) => id === view.sort) ?? orders[0];
  const found = isSame ? shown.found : findPictures(pictures, view, order);
  const numPages = Math.max(Math.ceil(found.length / PICTURES_A_PAGE), 1);
  const page = Math.min(view.page, numPages);
  return {
    view: {...view, page},
    order,
    found,
    numPages,
    terms: termsOf(view.q),
    likeliest,
  };
}

/** Goes to another view, which becomes one to come back to. */
function visit(changes, {isNew = true} = {}) {
  const hash = hashOf({...shown.view, ...changes});
  if (isNew) {
    history.pushState(null, "", hash);
  } else {
    history.replaceState(null, "", hash);
  }
  render();
}

/** Draws the view that the hash says. */
function render() {
  const before = shown;
  shown = shownOf(viewOf(location.hash));
  const {view} = shown;
  const isSamePage =
    before &&
    before.found === shown.found &&
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
    detail.show(picture, shown.found.indexOf(picture), shown);
  } else {
    detail.hide();
  }
}

function renderGrid() {
  const {view, found} = shown;
  const start = (view.page - 1) * PICTURES_A_PAGE;
  byId("grid").replaceChildren(
    ...found
      .slice(start, start + PICTURES_A_PAGE)
      .map((picture) => cardOf(picture, shown)),
  );
  byId("nothing").hidden = found.length > 0;
}

/** Has the cards link to themselves within the view as it is now. */
function updateLinks() {
  for (const link of byId("grid").querySelectorAll("a.frame")) {
    const picture = Number(link.parentElement.id.slice("picture-".length));
    link.setAttribute("href", hashOf({...shown.view, picture}));
  }
}

function renderControls() {
  const {view, order, found, numPages} = shown;
  const count = (number) => number.toLocaleString("en");
  const isAll = found.length === pictures.length;
  setText(
    byId("status"),
    (isAll ? "" : `${count(found.length)} of `) +
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

/** Sets a text unless it is there already, which would be said again. */
function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Shows another page, from its top; the next Tab leads to its first card. */
function turnTo(page) {
  visit({page: Math.min(Math.max(page || 1, 1), shown.numPages)});
  byId("results").scrollIntoView();
  byId("grid").focus({preventScroll: true});
}

/** Shows from near the picture so many after the one that is. */
function go(step) {
  const {found, view} = shown;
  const index = found.indexOf(pictures[view.picture - 1]);
  if (index < 0 || !found[index + step]) return;
  visit(placeOf(index + step), {isNew: false});
}

/** Where in a view the picture of an index is. */
function placeOf(index) {
  return {
    page: Math.floor(index / PICTURES_A_PAGE) + 1,
    picture: shown.found[index].number,
  };
}

/** Goes on without the picture that was seen from near, unless that is so. */
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
    // A search that goes on is the same one to come back from.
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
