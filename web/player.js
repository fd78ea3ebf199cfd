/** Plays what was judged, and moves the timeline's cursor along. */

export class Player {
  /**
   * @param {HTMLElement} button
   * @param {import("./timeline.js").Timeline} timeline
   */
  constructor(button, timeline) {
    this.button = button;
    this.timeline = timeline;
    this.audio = new Audio();
    button.addEventListener("click", () => (this.audio.paused ? this.audio.play() : this.audio.pause()));
    for (const event of ["play", "pause", "ended"]) this.audio.addEventListener(event, () => this.#show());
    this.audio.addEventListener("error", () => this.unload()); // not every format that the service reads
    timeline.onSeek = (seconds) => {
      if (this.audio.src) this.audio.currentTime = seconds;
      this.#move();
    };
  }

  /** @param {Blob} sound */
  load(sound) {
    this.unload();
    this.audio.src = URL.createObjectURL(sound);
    this.button.hidden = false;
    this.#show();
  }

  unload() {
    this.audio.pause();
    if (this.audio.src) URL.revokeObjectURL(this.audio.src);
    this.audio.removeAttribute("src");
    this.button.hidden = true;
    this.timeline.playhead = null;
    this.timeline.refresh();
  }

  #show() {
    const playing = !this.audio.paused;
    this.button.textContent = playing ? "Pause" : "Play";
    this.button.setAttribute("aria-pressed", String(playing));
    this.#move();
  }

  #move() {
    if (!this.audio.src) return;
    this.timeline.playhead = this.audio.currentTime || null;
    this.timeline.refresh();
    if (!this.audio.paused) requestAnimationFrame(() => this.#move());
  }
}
