/** Getting at the page's elements, and what both panels do with theirs: phases, verdicts, files dropped or opened. */

/**
 * @template {HTMLElement} [T=HTMLElement]
 * @param {string} id
 * @returns {T}
 */
export function element(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no #${id}`);
  return /** @type {T} */ (found);
}

/** The upper part of a panel: a title, a sentence, a figure. */
export class Verdict {
  /** @param {"voice" | "face"} name */
  constructor(name) {
    this.box = element(`${name}-verdict`);
    this.title = element(`${name}-title`);
    this.detail = element(`${name}-detail`);
    this.score = element(`${name}-score`);
    this.number = element(`${name}-number`);
  }

  /**
   * @param {string} label colours the title: `bonafide`, `spoof`, `live`, `fake`, `unsure`, or empty
   * @param {[title: string, detail: string]} words
   * @param {string} figure empty: none is shown
   */
  show(label, [title, detail], figure = "") {
    this.box.dataset.label = label;
    // A screen reader speaks what changes, so nothing is set that has not changed.
    if (this.title.textContent !== title) this.title.textContent = title;
    if (this.detail.textContent !== detail) this.detail.textContent = detail;
    this.score.hidden = !figure;
    this.number.textContent = figure;
  }
}

/**
 * Lets the user give a file: by a button that opens the browser's dialog, or by dropping it on a place.
 * @param {HTMLElement} button
 * @param {HTMLInputElement} input
 * @param {HTMLElement} place
 * @param {(file: File) => void} take
 */
export function acceptFiles(button, input, place, take) {
  button.addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    const file = input.files?.[0];
    input.value = ""; // so that the same file can be chosen again
    if (file) take(file);
  });
  let depth = 0;
  const mark = (/** @type {number} */ change) => {
    depth = Math.max(0, depth + change);
    place.classList.toggle("dropping", depth > 0);
  };
  place.addEventListener("dragenter", () => mark(1));
  place.addEventListener("dragleave", () => mark(-1));
  place.addEventListener("dragover", (event) => event.preventDefault());
  place.addEventListener("drop", (event) => {
    event.preventDefault();
    mark(-depth);
    const file = event.dataTransfer?.files[0];
    if (file) take(file);
  });
}
