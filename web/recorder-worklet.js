/** Runs on the browser's audio thread: gathers the microphone's samples and posts them in blocks, untouched. */

const BLOCK_S = 0.1;

class Recorder extends AudioWorkletProcessor {
  constructor() {
    super();
    this.block = new Float32Array(Math.round(sampleRate * BLOCK_S));
    this.filled = 0;
    this.port.onmessage = () => this.post(); // asked for the rest
  }

  /** @param {Float32Array[][]} inputs */
  process([channels]) {
    const frames = channels[0]?.length ?? 0;
    for (let index = 0; index < frames; index++) {
      let sum = 0;
      for (const channel of channels) sum += channel[index];
      this.block[this.filled++] = sum / channels.length;
      if (this.filled === this.block.length) this.post();
    }
    return true;
  }

  post() {
    this.port.postMessage(this.block.slice(0, this.filled));
    this.filled = 0;
  }
}

registerProcessor("recorder", Recorder);
