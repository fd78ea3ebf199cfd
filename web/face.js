/** The panel that judges photos of faces. */

import { faceAnswer } from "./answers.js";
import { Camera } from "./camera.js";
import { acceptFiles, element, Verdict } from "./elements.js";
import { predictLiveness } from "./service.js";
import { answerWords, errorWords, FACE_WORDS, percent, REASON_WORDS } from "./words.js";

export class FacePanel {
  constructor() {
    this.panel = element("face");
    this.verdict = new Verdict("face");
    this.take = /** @type {HTMLButtonElement} */ (element("take-photo"));
    this.camera = new Camera(/** @type {HTMLVideoElement} */ (element("camera")), () => this.leave());
    this.image = /** @type {HTMLImageElement} */ (element("photo-image"));
    this.asking = new AbortController();
    this.take.addEventListener("click", () => this.#press());
    element("close-camera").addEventListener("click", () => this.leave());
    acceptFiles(
      element("open-photo"),
      /** @type {HTMLInputElement} */ (element("photo-file")),
      element("face-drop"),
      (file) => this.judge(file),
    );
    if (!Camera.possible) {
      this.take.disabled = true;
      this.verdict.show("", ["Is this face real?", "Open a photo. (Browsers give the camera only to pages over https.)"]);
    }
  }

  /** The panel goes out of sight: lets go of the camera. */
  leave() {
    this.camera.close();
    this.#showCamera(false);
  }

  /**
   * Asks the service about a photo, and shows the answer.
   * @param {Blob} photo
   */
  async judge(photo) {
    this.leave();
    this.asking.abort();
    const { signal } = (this.asking = new AbortController());
    this.panel.dataset.phase = "judging";
    this.verdict.show("", ["Looking …", "The photo is with the service."]);
    element("face-meter").hidden = true;
    this.#showPhoto(photo);
    try {
      this.#answer(faceAnswer(await predictLiveness(photo, signal)));
    } catch (error) {
      if (signal.aborted) return;
      this.verdict.show("unsure", errorWords(error));
    }
    this.panel.dataset.phase = "judged";
  }

  async #press() {
    const isPosing = this.panel.dataset.phase === "posing";
    if (this.camera.asked && !isPosing) return; // it is being opened, and has no picture yet
    try {
      if (isPosing) await this.judge(await this.camera.photo());
      else if (await this.camera.open()) this.#showCamera(true);
    } catch (error) {
      this.verdict.show("unsure", errorWords(error));
    }
  }

  /** @param {boolean} shown */
  #showCamera(shown) {
    if (shown) {
      this.panel.dataset.phase = "posing";
      this.verdict.show("", ["Look at the camera", "One face, good light, near enough to fill half the picture."]);
      element("photo").hidden = true;
      element("face-meter").hidden = true;
    } else if (this.panel.dataset.phase === "posing") {
      this.panel.dataset.phase = "waiting";
      this.verdict.show("", ["Is this face real?", "Take a photo, or open one."]);
    }
    element("camera").hidden = !shown;
    element("close-camera").hidden = !shown;
    element("open-photo").hidden = shown;
  }

  /** @param {Blob} photo */
  #showPhoto(photo) {
    URL.revokeObjectURL(this.image.src);
    this.image.src = URL.createObjectURL(photo);
    element("photo").hidden = false;
    element("photo-faces").replaceChildren();
  }

  /** @param {any} answer */
  #answer(answer) {
    const [title, detail] = FACE_WORDS[answer.predicted_class];
    const reason = REASON_WORDS[answer.reason] ?? answer.reason;
    const fake = answer.probabilities.fake;
    const words = [reason || detail, answerWords(answer)].filter(Boolean).join(" ");
    this.verdict.show(answer.predicted_class, [title, words], percent(fake));
    element("face-meter").hidden = false;
    element("face-marker").style.left = `${100 * fake}%`;
    element("face-threshold").style.left = `${100 * answer.threshold}%`;
    element("photo-faces").replaceChildren(...(answer.faces ?? []).map(faceBox));
  }
}

/**
 * @param {{left: number, top: number, width: number, height: number}} face shares of the picture
 * @param {number} index 0 is the largest
 */
function faceBox(face, index) {
  const box = document.createElement("div");
  box.className = index ? "face-box other" : "face-box";
  for (const side of /** @type {const} */ (["left", "top", "width", "height"])) {
    box.style[side] = `${100 * face[side]}%`;
  }
  return box;
}
