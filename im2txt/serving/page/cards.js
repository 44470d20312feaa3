// The card of a picture. Text is only ever set as text, never as HTML.

const percent = new Intl.NumberFormat("en", {
  style: "percent",
  maximumSignificantDigits: 2,
});

// Long captions have small probabilities, however good they are.
const LEAST_SHOWN = 1e-5;

/** Creates an element; the children are nodes or strings. */
function element(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

/** Returns a bar, of which a share between 0 and 1 is filled. */
function bar(share) {
  const filled = element("span", {});
  filled.style.setProperty("--share", `${100 * share}%`);
  return element("span", {class: "track", "aria-hidden": "true"}, filled);
}

function probabilityOf(value) {
  const isTiny = value < LEAST_SHOWN;
  return element(
    "span",
    {class: "number", title: `p=${value.toPrecision(3)}`},
    isTiny ? `<${percent.format(LEAST_SHOWN)}` : percent.format(value),
  );
}

function wordOf(text, probability, kind = "") {
  return element(
    "li",
    {class: kind},
    element("span", {dir: "auto"}, text),
    bar(probability),
    probabilityOf(probability),
  );
}

function wordsOf({words, end_probability: end}) {
  return element(
    "ol",
    {class: "words", "aria-label": "Word by word, with probabilities"},
    ...words.map(({word, probability}) => wordOf(word, probability)),
    ...(end === null ? [] : [wordOf("end", end, "end")]),
  );
}

/** Returns a caption in the punctuation of a sentence. */
function sentenceOf({caption}) {
  return caption.replace(/ ([.,!?;:])/g, "$1") || "Empty caption";
}

/** Returns the captions; each expands to its words, the first one at once. */
function captionList(captions) {
  const likeliest = Math.max(...captions.map(({probability: p}) => p));
  return element(
    "div",
    {class: "captions", role: "group", "aria-label": "Captions"},
    ...captions.map((caption, index) =>
      element(
        "details",
        index ? {} : {class: "best", open: ""},
        element(
          "summary",
          {},
          element(
            "span",
            {class: "row"},
            element(
              "span",
              {class: "sentence", dir: "auto"},
              sentenceOf(caption),
            ),
            probabilityOf(caption.probability),
          ),
          bar(likeliest && caption.probability / likeliest),
        ),
        wordsOf(caption),
      ),
    ),
  );
}

/** The card of a picture, which is waiting, captioned or failed. */
export class Card {
  /** Shows a file; `onRemove` and `onRetry` are called with the card. */
  constructor(file, {onRemove, onRetry}) {
    this.file = file;
    this.isDone = false;
    this.onRetry = onRetry;
    this.url = URL.createObjectURL(file);
    this.content = element("div", {class: "content"});
    const remove = element(
      "button",
      {type: "button", class: "remove", "aria-label": `Remove ${file.name}`},
      "Remove",
    );
    remove.addEventListener("click", () => onRemove(this));
    this.foot = element(
      "div",
      {class: "foot"},
      element("h2", {class: "name", title: file.name}, file.name),
      remove,
    );
    this.node = element(
      "article",
      {class: "card", "aria-label": file.name},
      element("div", {class: "frame"}, this.image()),
      element("div", {class: "text"}, this.content, this.foot),
    );
    this.wait("Waiting…");
  }

  image() {
    const image = element("img", {src: this.url, alt: this.file.name});
    image.addEventListener("error", () =>
      image.replaceWith("No preview of this file"),
    );
    return image;
  }

  wait(text) {
    this.isDone = false;
    this.node.setAttribute("aria-busy", "true");
    this.content.replaceChildren(
      element(
        "div",
        {class: "pending"},
        element("span", {}, text),
        element("i", {}),
        element("i", {}),
      ),
    );
    this.setAction(null);
  }

  /** Shows captions; returns the text to announce to screen readers. */
  show(captions) {
    this.finish();
    const sentence = sentenceOf(captions[0]);
    this.content.replaceChildren(captionList(captions));
    if (navigator.clipboard) {
      this.setAction("Copy", async (button) => {
        await navigator.clipboard.writeText(sentence);
        button.textContent = "Copied";
      });
    }
    return sentence;
  }

  /** Shows an error. */
  fail(message) {
    this.finish();
    this.content.replaceChildren(element("p", {class: "error"}, message));
    this.setAction("Try again", () => this.onRetry(this));
  }

  finish() {
    this.isDone = true;
    this.node.removeAttribute("aria-busy");
  }

  /** Shows one button beside "Remove", or none. */
  setAction(label, act) {
    this.foot.querySelector(".action")?.remove();
    if (!label) return;
    const button = element("button", {type: "button", class: "action"}, label);
    button.addEventListener("click", () => act(button));
    this.foot.querySelector(".remove").before(button);
  }

  focus() {
    this.foot.querySelector(".remove").focus();
  }

  remove() {
    this.node.remove();
    URL.revokeObjectURL(this.url);
  }
}
