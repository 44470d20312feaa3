"use strict";
// The detail view: one picture in a dialog; arrow keys show its neighbours.

class Detail {
  /**
   * @param {HTMLDialogElement} dialog
   * @param {(step: number) => void} go Moves by that many pictures.
   * @param {() => void} closed Called when the dialog was closed.
   */
  constructor(dialog, go, closed) {
    this.dialog = dialog;
    this.part = (name) => dialog.querySelector(`.${name}`);
    this.part("previous").addEventListener("click", () => go(-1));
    this.part("next").addEventListener("click", () => go(1));
    this.part("close").addEventListener("click", () => dialog.close());
    dialog.addEventListener("click", ({target}) => {
      if (target === dialog) dialog.close(); // Outside the content.
    });
    dialog.addEventListener("close", closed);
    dialog.addEventListener("keydown", (event) => {
      const step = {ArrowLeft: -1, ArrowRight: 1}[event.key];
      if (!step || event.altKey || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      go(step);
    });
  }

  /** Shows a picture; `index` is its position in the search results. */
  show(picture, index, shown) {
    const {results} = shown;
    this.part("name").textContent = picture.name;
    this.part("position").textContent =
      index < 0 ? "" : `${index + 1} of ${results.length}`;
    this.part("previous").disabled = index <= 0;
    this.part("next").disabled = index < 0 || index === results.length - 1;
    this.part("frame").replaceChildren(imageOf(picture, picture.image));
    const heading = (text) => element("h3", {}, text);
    this.part("text").className = `text ${picture.verdict}`;
    this.part("text").replaceChildren(
      ...verdictOf(picture),
      heading("Captions"),
      captionList(picture, shown),
      ...(picture.scores.size
        ? [heading("Scores"), scoreList(picture, shown)]
        : []),
      heading("References"),
      picture.references.length
        ? referenceList(picture, shown)
        : element("p", {class: "none"}, "No reference"),
    );
    this.dialog.scrollTop = 0;
    if (!this.dialog.open) this.dialog.showModal();
    this.keepFocus();
  }

  /**
   * Moves the focus off a disabled button, which would ignore the keys. Some
   * browsers have moved it out of the dialog by now.
   */
  keepFocus() {
    const focused = document.activeElement;
    if (this.dialog.contains(focused) && !focused.disabled) return;
    const buttons = ["previous", "next", "close"].map(this.part);
    buttons.find((button) => !button.disabled).focus();
  }

  hide() {
    if (this.dialog.open) this.dialog.close();
  }
}
