/** One lane for each further channel of a recording: its name, what was found of it, and its timeline. */

import { Timeline } from "./timeline.js";
import { channelWords } from "./words.js";

export class Lanes {
  /**
   * @param {HTMLElement} root
   * @param {(text: string) => void} onReadout see `Timeline`
   */
  constructor(root, onReadout) {
    this.root = root;
    this.onReadout = onReadout;
    this.threshold = 0.5;
    /** @type {{box: HTMLElement, words: HTMLElement, timeline: Timeline}[]} made once, and used again. */
    this.lanes = [];
    this.shown = 0;
  }

  /** Shows none. */
  clear() {
    for (const { box, timeline } of this.lanes) {
      box.hidden = true;
      timeline.clear();
    }
    this.shown = 0;
  }

  /**
   * Shows one more.
   * @param {import("./words.js").Channel} channel
   * @param {import("./timeline.js").ScoredWindow[]} windows
   * @param {{samples: Float32Array, rate: number} | null} sound
   */
  show(channel, windows, sound) {
    const lane = (this.lanes[this.shown] ??= this.#made());
    this.shown += 1;
    lane.box.hidden = false;
    lane.box.dataset.label = channel.label;
    lane.words.textContent = channelWords(channel);
    lane.timeline.canvas.setAttribute("aria-label", `Timeline of scores, channel ${channel.name}`);
    lane.timeline.threshold = this.threshold;
    if (sound) lane.timeline.peaks.push(sound.samples, sound.rate);
    for (const window of windows) lane.timeline.add(window);
  }

  #made() {
    const box = document.createElement("div");
    box.className = "lane";
    const words = document.createElement("p");
    const canvas = document.createElement("canvas");
    canvas.tabIndex = 0;
    canvas.setAttribute("role", "slider");
    canvas.setAttribute("aria-valuenow", "0");
    canvas.setAttribute("aria-valuetext", "nothing chosen");
    box.append(words, canvas);
    this.root.append(box);
    return { box, words, timeline: new Timeline(canvas, this.onReadout) };
  }
}
