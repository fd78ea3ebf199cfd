/** Draws a recording's waveform, coloured by the scores of its windows, with the scores as steps below it. */

import { Peaks } from "./peaks.js";
import { clock, percent, WINDOW_WORDS } from "./words.js";

/** @typedef {{start: number, end: number, score: number | null, label: string}} ScoredWindow */

const BAR_PX = 4;
const LIVE_PX_PER_S = 48;
const LANE_PX = 56;
const AXIS_PX = 22;
const PAD_PX = 16;
const SHORTEST_S = 4;
const TICKS_S = [0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600];

export class Timeline {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {(text: string) => void} onReadout told what lies under the pointer or the keyboard's cursor
   */
  constructor(canvas, onReadout) {
    this.canvas = canvas;
    this.onReadout = onReadout;
    this.onSeek = (/** @type {number} */ _seconds) => {};
    this.threshold = 0.5;
    this.peaks = new Peaks();
    /** @type {ScoredWindow[]} */
    this.windows = [];
    /** Whether the picture keeps its scale and scrolls, as while recording; else it shows the whole. */
    this.live = false;
    /** The window under the pointer or the keyboard's cursor, or -1. */
    this.chosen = -1;
    /** @type {number | null} */
    this.playhead = null;
    this.waiting = 0;
    new ResizeObserver(() => this.refresh()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.refresh());
    canvas.addEventListener("pointermove", (event) => this.#pick(this.#windowAt(this.#time(event.offsetX))));
    canvas.addEventListener("pointerleave", () => this.#pick(-1));
    canvas.addEventListener("click", (event) => this.onSeek(this.#time(event.offsetX)));
    canvas.addEventListener("keydown", (event) => this.#key(event));
  }

  /** Forgets everything. */
  clear() {
    this.peaks = new Peaks();
    this.windows = [];
    this.live = false;
    this.playhead = null;
    this.#pick(-1);
    this.refresh();
  }

  /** @param {ScoredWindow} window */
  add(window) {
    this.windows.push(window);
    this.refresh();
  }

  /** Draws at the next frame. */
  refresh() {
    if (this.waiting) return;
    this.waiting = requestAnimationFrame(() => {
      this.waiting = 0;
      this.#draw();
    });
  }

  get seconds() {
    return Math.max(this.peaks.seconds, this.windows.at(-1)?.end ?? 0);
  }

  /** First visible second, and CSS pixels per second. */
  get #view() {
    const width = this.canvas.clientWidth - 2 * PAD_PX;
    if (this.live) {
      const span = width / LIVE_PX_PER_S;
      return { from: Math.max(0, this.seconds - span), scale: LIVE_PX_PER_S, width };
    }
    return { from: 0, scale: width / Math.max(this.seconds, SHORTEST_S), width };
  }

  /** @param {number} x CSS pixels from the canvas's left edge */
  #time(x) {
    const { from, scale } = this.#view;
    return from + (x - PAD_PX) / scale;
  }

  /** @param {number} seconds */
  #windowAt(seconds) {
    return this.windows.findIndex((window) => window.start <= seconds && seconds < window.end);
  }

  /** @param {number} index of a window, or -1 */
  #pick(index) {
    if (index === this.chosen) return;
    this.chosen = index;
    const text = index < 0 ? "" : describe(this.windows[index]);
    this.onReadout(text);
    if (text) {
      this.canvas.setAttribute("aria-valuenow", String(index + 1));
      this.canvas.setAttribute("aria-valuetext", text);
    }
    this.refresh();
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const last = this.windows.length - 1;
    const target = { ArrowLeft: this.chosen - 1, ArrowRight: this.chosen + 1, Home: 0, End: last }[event.key];
    if (event.key === "Escape") this.#pick(-1);
    if (target === undefined || last < 0) return;
    event.preventDefault();
    this.#pick(Math.min(last, Math.max(0, target)));
    this.onSeek(this.windows[this.chosen].start);
  }

  #draw() {
    const { canvas, windows } = this;
    const ratio = devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (!width) return; // hidden
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    canvas.setAttribute("aria-valuemin", windows.length ? "1" : "0");
    canvas.setAttribute("aria-valuemax", String(windows.length));
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    const colours = palette(canvas);
    this.#drawLane(context, colours, height);
    this.#drawWaveform(context, colours, height - LANE_PX - AXIS_PX);
    this.#drawAxis(context, colours, height);
    if (this.playhead !== null) this.#drawPlayhead(context, colours, height);
  }

  /**
   * @param {CanvasRenderingContext2D} context
   * @param {Palette} colours
   * @param {number} height
   */
  #drawWaveform(context, colours, height) {
    const { from, scale, width } = this.#view;
    const [middle, reach] = [height / 2 + 4, height / 2 - 14];
    const bar_s = BAR_PX / scale;
    let place = 0;
    // Bars begin at whole multiples of their width, so that they keep their heights while they scroll.
    for (let number = Math.floor(from / bar_s); number * bar_s < from + width / scale; number++) {
      const start = number * bar_s;
      const x = PAD_PX + (start - from) * scale;
      if (x < PAD_PX - 1) continue;
      if (start >= this.peaks.seconds) {
        const hint = this.seconds ? 1 : Math.max(1, reach * imagined((x - PAD_PX) / width));
        context.fillStyle = colours.line;
        context.globalAlpha = 1;
        context.beginPath();
        context.roundRect(x, middle - hint, BAR_PX - 1, 2 * hint, 1.5);
        context.fill();
        continue;
      }
      while (place < this.windows.length && this.windows[place].end <= start + bar_s / 2) place++;
      const window = this.windows[place];
      const inside = window && window.start <= start + bar_s / 2;
      const level = Math.max(1.5, reach * Math.min(1, this.peaks.between(start, start + bar_s) ** 0.85));
      context.fillStyle = inside ? colours.of(window) : colours.faint;
      context.globalAlpha = inside ? strength(window, this.threshold) : 1;
      if (this.chosen >= 0 && place !== this.chosen) context.globalAlpha *= 0.45;
      context.beginPath();
      context.roundRect(x, middle - level, BAR_PX - 1, 2 * level, 1.5);
      context.fill();
    }
    context.globalAlpha = 1;
  }

  /**
   * @param {CanvasRenderingContext2D} context
   * @param {Palette} colours
   * @param {number} height
   */
  #drawLane(context, colours, height) {
    const { from, scale, width } = this.#view;
    const [top, bottom] = [height - LANE_PX - AXIS_PX, height - AXIS_PX];
    if (!this.windows.length) return;
    const level = (/** @type {number} */ score) => bottom - score * (LANE_PX - 6);
    context.save();
    context.beginPath();
    context.rect(PAD_PX, top, width, LANE_PX + 1);
    context.clip();
    for (const [index, window] of this.windows.entries()) {
      const [left, right] = [PAD_PX + (window.start - from) * scale, PAD_PX + (window.end - from) * scale];
      if (right < PAD_PX || left > PAD_PX + width || window.score === null) continue;
      const y = level(window.score);
      const gap = right - left > 6 ? 1 : 0;
      context.fillStyle = colours.of(window);
      context.globalAlpha = this.chosen < 0 || index === this.chosen ? 0.22 : 0.1;
      context.fillRect(left, y, right - left - gap, bottom - y);
      context.globalAlpha = this.chosen < 0 || index === this.chosen ? 1 : 0.45;
      context.fillRect(left, y - 1, right - left - gap, 2);
    }
    context.globalAlpha = 1;
    context.strokeStyle = colours.soft;
    context.setLineDash([2, 4]);
    context.beginPath();
    context.moveTo(PAD_PX, level(this.threshold));
    context.lineTo(PAD_PX + width, level(this.threshold));
    context.stroke();
    this.#drawLegend(context, colours, level(this.threshold));
    context.restore();
  }

  /**
   * @param {CanvasRenderingContext2D} context
   * @param {Palette} colours
   * @param {number} line
   */
  #drawLegend(context, colours, line) {
    const text = "spoof above this line";
    context.font = "11px system-ui, sans-serif";
    context.textAlign = "left";
    context.fillStyle = colours.card;
    context.globalAlpha = 0.75;
    context.beginPath();
    context.roundRect(PAD_PX, line - 15, context.measureText(text).width + 8, 13, 3);
    context.fill();
    context.globalAlpha = 1;
    context.fillStyle = colours.soft;
    context.fillText(text, PAD_PX + 4, line - 5);
  }

  /**
   * @param {CanvasRenderingContext2D} context
   * @param {Palette} colours
   * @param {number} height
   */
  #drawAxis(context, colours, height) {
    const { from, scale, width } = this.#view;
    if (!this.seconds) return;
    const step = TICKS_S.find((seconds) => seconds * scale >= 64) ?? 7200;
    context.fillStyle = colours.soft;
    context.font = "11px system-ui, sans-serif";
    for (let tick = Math.ceil(from / step) * step; tick <= from + width / scale; tick += step) {
      const x = PAD_PX + (tick - from) * scale;
      context.textAlign = x < PAD_PX + 12 ? "left" : x > PAD_PX + width - 12 ? "right" : "center";
      context.fillText(clock(tick, step < 1), x, height - 6);
    }
  }

  /**
   * @param {CanvasRenderingContext2D} context
   * @param {Palette} colours
   * @param {number} height
   */
  #drawPlayhead(context, colours, height) {
    const { from, scale } = this.#view;
    context.fillStyle = colours.ink;
    context.fillRect(PAD_PX + ((this.playhead ?? 0) - from) * scale - 0.75, 8, 1.5, height - AXIS_PX - 8);
  }
}

/**
 * The shape of a voice that has not spoken yet.
 * @param {number} place 0..1 from left to right
 */
function imagined(place) {
  const words = Math.sin(17 * place) * Math.sin(41 * place + 1) * Math.sin(113 * place);
  return 0.55 * Math.abs(words) * Math.sin(Math.PI * place) ** 2;
}

/** @typedef {{ink: string, card: string, soft: string, line: string, faint: string, of: (window: ScoredWindow) => string}} Palette */

/**
 * The style sheet's colours, as they are now.
 * @param {Element} element
 * @returns {Palette}
 */
function palette(element) {
  const style = getComputedStyle(element);
  const colour = (/** @type {string} */ name) => style.getPropertyValue(`--${name}`).trim();
  const [genuine, fake, faint] = [colour("genuine"), colour("fake"), colour("faint")];
  return {
    ink: colour("ink"),
    card: colour("card"),
    soft: colour("soft"),
    line: colour("line"),
    faint,
    of: (window) => (window.score === null ? faint : window.label === "spoof" ? fake : genuine),
  };
}

/**
 * How firmly a window is coloured: fully where its score is far from the threshold.
 * @param {ScoredWindow} window
 * @param {number} threshold
 */
function strength(window, threshold) {
  if (window.score === null) return 0.7;
  const room = window.score >= threshold ? 1 - threshold : threshold;
  return 0.55 + 0.45 * Math.min(1, Math.abs(window.score - threshold) / (room || 1));
}

/** @param {ScoredWindow} window */
function describe(window) {
  const span = `${clock(window.start, true)} to ${clock(window.end, true)}`;
  const words = WINDOW_WORDS[window.label] ?? window.label;
  return window.score === null ? `${span}: ${words}` : `${span}: ${words}, spoof ${percent(window.score)}`;
}
