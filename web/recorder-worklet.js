/**
 * Runs on the browser's audio thread: gathers the microphone's samples and posts them in blocks, untouched: the mean of
 * the channels, or the first where they would cancel each other, as in the service.
 */

const BLOCK_S = 0.1;
/** Of the channels' energies: the energy of their sum is 1 of it when they are independent, 0 when they cancel. */
const LEAST_SUM = 0.25;

class Recorder extends AudioWorkletProcessor {
  constructor() {
    super();
    this.block = new Float32Array(Math.round(sampleRate * BLOCK_S));
    this.first = new Float32Array(this.block.length);
    this.filled = this.together = this.apart = 0;
    this.port.onmessage = () => this.post(); // asked for the rest
  }

  /** @param {Float32Array[][]} inputs */
  process([channels]) {
    const frames = channels[0]?.length ?? 0;
    for (let index = 0; index < frames; index++) {
      let sum = 0;
      for (const channel of channels) {
        sum += channel[index];
        this.apart += channel[index] ** 2;
      }
      this.together += sum ** 2;
      this.first[this.filled] = channels[0][index];
      this.block[this.filled++] = sum / channels.length;
      if (this.filled === this.block.length) this.post();
    }
    return true;
  }

  post() {
    const chosen = this.together < LEAST_SUM * this.apart ? this.first : this.block;
    this.port.postMessage(chosen.slice(0, this.filled));
    this.filled = this.together = this.apart = 0;
  }
}

registerProcessor("recorder", Recorder);
