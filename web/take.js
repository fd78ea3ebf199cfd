/** What the microphone gave, kept in this page so that it can be played: 16-bit, at most ten minutes. */

const LONGEST_S = 600;

export class Take {
  constructor() {
    /** @type {Int16Array<ArrayBuffer>[]} */
    this.parts = [];
    this.samples = 0;
    this.rate = 0;
  }

  /**
   * @param {Float32Array} samples mono, -1..1
   * @param {number} rate
   */
  push(samples, rate) {
    this.rate = rate;
    this.samples += samples.length;
    if (this.seconds > LONGEST_S) this.parts = [];
    else this.parts.push(Int16Array.from(samples, (sample) => 32767 * Math.max(-1, Math.min(1, sample))));
  }

  get seconds() {
    return this.rate ? this.samples / this.rate : 0;
  }

  /** The recording as WAV; null when it was too long to be kept. */
  wav() {
    if (!this.parts.length) return null;
    const header = new DataView(new ArrayBuffer(44));
    const bytes = 2 * this.samples;
    const words = { 0: "RIFF", 8: "WAVE", 12: "fmt ", 36: "data" };
    for (const [at, word] of Object.entries(words)) {
      for (let index = 0; index < 4; index++) header.setUint8(Number(at) + index, word.charCodeAt(index));
    }
    header.setUint32(4, 36 + bytes, true);
    header.setUint32(16, 16, true);
    header.setUint16(20, 1, true); // PCM
    header.setUint16(22, 1, true); // mono
    header.setUint32(24, this.rate, true);
    header.setUint32(28, 2 * this.rate, true);
    header.setUint16(32, 2, true);
    header.setUint16(34, 16, true);
    header.setUint32(40, bytes, true);
    return new Blob([header, ...this.parts], { type: "audio/wav" });
  }
}
