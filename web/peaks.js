/** The loudest sample of every 20 ms: all that the picture of a recording needs, whatever its length. */

export const PEAK_S = 0.02;

export class Peaks {
  constructor() {
    /** @type {number[]} 0..1, one per `PEAK_S` seconds. */
    this.values = [];
    /** Seconds of audio heard. */
    this.seconds = 0;
  }

  /**
   * @param {Float32Array} samples mono, -1..1, following those of the last call
   * @param {number} rate samples per second
   */
  push(samples, rate) {
    const from = Math.round(this.seconds * rate);
    for (let index = 0; index < samples.length; index++) {
      const place = Math.floor((from + index) / rate / PEAK_S);
      while (this.values.length <= place) this.values.push(0);
      const level = Math.min(1, Math.abs(samples[index]));
      if (level > this.values[place]) this.values[place] = level;
    }
    this.seconds = (from + samples.length) / rate;
  }

  /**
   * The loudest level between two moments.
   * @param {number} start seconds
   * @param {number} end seconds
   */
  between(start, end) {
    let level = 0;
    const last = Math.min(this.values.length, Math.max(Math.ceil(end / PEAK_S), Math.floor(start / PEAK_S) + 1));
    for (let place = Math.max(0, Math.floor(start / PEAK_S)); place < last; place++) {
      level = Math.max(level, this.values[place]);
    }
    return level;
  }
}
