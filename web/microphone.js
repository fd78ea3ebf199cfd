/** The microphone as it is: without echo cancellation, noise suppression and gain control, which erase the evidence. */

const CONSTRAINTS = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
/** An audio thread that has stopped, as that of a phone in a call, hands nothing over. */
const HAND_OVER_MS = 1_000;
const WORDS = {
  echoCancellation: "echo cancellation",
  noiseSuppression: "noise suppression",
  autoGainControl: "gain control",
};

export class Microphone {
  /**
   * Asks for the microphone, and records from then on.
   * @param {(samples: Float32Array, rate: number) => void} onSamples about ten times a second: mono, -1..1
   * @param {() => void} onEnded the browser or the user took the microphone away
   */
  static async open(onSamples, onEnded) {
    const stream = await navigator.mediaDevices.getUserMedia({ audio: CONSTRAINTS });
    const context = new AudioContext({ latencyHint: "interactive" });
    try {
      await context.resume();
      await context.audioWorklet.addModule(new URL("recorder-worklet.js", import.meta.url));
    } catch (error) {
      for (const track of stream.getTracks()) track.stop();
      await context.close();
      throw error;
    }
    return new Microphone(stream, context, onSamples, onEnded);
  }

  /** Whether the browser gives a microphone to this page at all: over https and on localhost it does. */
  static get possible() {
    return Boolean(navigator.mediaDevices?.getUserMedia) && "audioWorklet" in AudioContext.prototype;
  }

  /**
   * @param {MediaStream} stream
   * @param {AudioContext} context
   * @param {(samples: Float32Array, rate: number) => void} onSamples
   * @param {() => void} onEnded
   */
  constructor(stream, context, onSamples, onEnded) {
    this.stream = stream;
    this.context = context;
    this.node = new AudioWorkletNode(context, "recorder", { numberOfOutputs: 0 });
    this.node.port.onmessage = ({ data }) => onSamples(data, context.sampleRate);
    context.createMediaStreamSource(stream).connect(this.node);
    for (const track of stream.getTracks()) track.addEventListener("ended", onEnded);
  }

  /** What the browser does to the sound all the same, in words; empty when it leaves it alone. */
  get alterations() {
    const settings = this.stream.getAudioTracks()[0].getSettings();
    return Object.entries(WORDS).flatMap(([name, words]) => (settings[/** @type {keyof typeof WORDS} */ (name)] ? words : []));
  }

  /** Lets go of the microphone, after the last samples have been handed over. */
  async close() {
    const handedOver = new Promise((resolve) => {
      const listener = this.node.port.onmessage;
      this.node.port.onmessage = (event) => {
        listener?.call(this.node.port, event);
        resolve(undefined);
      };
      setTimeout(resolve, HAND_OVER_MS);
    });
    this.node.port.postMessage("rest");
    await handedOver;
    for (const track of this.stream.getTracks()) track.stop();
    await this.context.close();
  }
}
