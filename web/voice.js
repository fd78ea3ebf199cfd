/** The panel that judges voices: live from the microphone, or a recording as a whole. */

import { voiceAnswer } from "./answers.js";
import { AudioDetectionClient } from "./client/index.js";
import { acceptFiles, element, Verdict } from "./elements.js";
import { Lanes } from "./lanes.js";
import { Microphone } from "./microphone.js";
import { Peaks } from "./peaks.js";
import { Player } from "./player.js";
import { detectAudio, live } from "./service.js";
import { Take } from "./take.js";
import { Timeline } from "./timeline.js";
import { answerWords, clock, errorWords, percent, suspiciousWords, VOICE_WORDS, WINDOW_WORDS } from "./words.js";

/** Larger files are judged too, but their waveform is not drawn: decoded, they would fill the memory of a phone. */
const MOST_DRAWN_BYTES = 48 * 1024 * 1024;

export class VoicePanel {
  constructor() {
    this.panel = element("voice");
    this.verdict = new Verdict("voice");
    this.record = /** @type {HTMLButtonElement} */ (element("record"));
    const read = (/** @type {string} */ text) => (element("readout").textContent = text);
    this.timeline = new Timeline(/** @type {HTMLCanvasElement} */ (element("timeline")), read);
    this.lanes = new Lanes(element("lanes"), read);
    this.player = new Player(element("play"), this.timeline);
    /** Aborted once another recording is in the panel: nothing is shown any more. */
    this.asking = new AbortController();
    this.starting = false;
    /** @type {{client: AudioDetectionClient, microphone: Microphone, take: Take} | null} */
    this.recording = null;
    /** What makes the present recording's scores less certain. */
    this.note = "";
    /** Whether some of the present recording was not judged. */
    this.missed = false;
    this.record.addEventListener("click", () => this.#press());
    acceptFiles(
      element("open-recording"),
      /** @type {HTMLInputElement} */ (element("recording-file")),
      element("voice-drop"),
      (file) => this.judge(file),
    );
    if (!Microphone.possible) {
      this.record.disabled = true;
      this.verdict.show("", ["Is this voice real?", "Open a recording. (Browsers give the microphone only to pages over https.)"]);
    }
  }

  /** @param {number} threshold a score at or above it is spoof */
  set threshold(threshold) {
    this.timeline.threshold = threshold;
    this.timeline.refresh();
  }

  /** The panel goes out of sight. */
  leave() {
    if (this.recording) this.stop();
    else if (this.starting) this.#giveUp();
    this.player.audio.pause();
  }

  /** The user went away before the microphone was there: it is not to record unseen. */
  #giveUp() {
    this.#clear("waiting");
    this.timeline.live = false;
    this.verdict.show("", ["Is this voice real?", "Speak into the microphone, or open a recording."]);
  }

  async #press() {
    if (this.starting) return; // not disabled meanwhile: a button that is loses the keyboard's focus
    if (this.recording) return this.stop();
    this.starting = true;
    await this.start();
    this.starting = false;
  }

  /** Records, and asks window by window. */
  async start() {
    this.#clear("recording");
    const { signal } = this.asking;
    this.timeline.live = true;
    this.verdict.show("", ["Listening …", "Waiting for the microphone."]);
    const client = new AudioDetectionClient(live.url, live.options());
    const take = new Take();
    client.onDetectionResult = (result) => {
      if (signal.aborted) return; // another recording is in the panel by now
      this.#heard(result);
      this.#soFar(result.running);
    };
    /** @type {unknown} */
    let reason = null;
    client.onStateChange = (state) => signal.aborted || this.#changed(state, reason);
    client.onError = (error) => {
      console.warn(error.code, error.message);
      reason = error;
      if (!signal.aborted) this.missed = true;
    };
    try {
      const hear = (/** @type {Float32Array} */ samples, /** @type {number} */ rate) => {
        if (signal.aborted) return;
        take.push(samples, rate);
        this.#draw(samples, rate);
        client.sendAudioChunk(samples, rate, "pcm16");
      };
      await client.connect();
      if (signal.aborted) return client.disconnect();
      const microphone = await Microphone.open(hear, () => this.stop());
      if (signal.aborted || client.state === "ended") {
        client.disconnect();
        microphone.close();
        return void (signal.aborted || this.#fail(reason));
      }
      this.recording = { client, take, microphone };
      this.#showRecording(true);
      const altered = this.recording.microphone.alterations.join(" and ");
      if (altered) this.note = `This browser insists on ${altered}, so the scores may mislead.`;
      this.verdict.show("", ["Listening …", this.note || "Speak, or hold a loudspeaker near."]);
    } catch (error) {
      client.disconnect();
      if (!signal.aborted) this.#fail(error);
    }
  }

  /** Ends the recording, and shows the verdict on all of it. */
  async stop() {
    if (!this.recording) return;
    const { client } = this.recording;
    const { signal } = this.asking;
    this.panel.dataset.phase = "judging";
    await this.#release();
    if (signal.aborted) return client.disconnect();
    try {
      const summary = await client.end();
      if (signal.aborted) return client.disconnect();
      // What was left at the end, less than a window, is judged in the summary only.
      for (const window of summary.windows.slice(this.timeline.windows.length)) this.#heard(window);
      const missed = this.missed ? "Some of what was said could not be judged." : "";
      const notes = [answerWords(summary), missed, this.note, ...(summary.warnings ?? [])].filter(Boolean).join(" ");
      this.#verdict(summary.label, summary.p_spoof, summary.suspicious, notes);
    } catch (error) {
      if (!signal.aborted) this.#fail(error);
    }
    client.disconnect();
  }

  /** Lets go of the microphone; what it gave can be played from then on. */
  async #release() {
    if (!this.recording) return;
    const { microphone, take } = this.recording;
    const { signal } = this.asking;
    this.recording = null;
    this.#showRecording(false);
    await microphone.close();
    const sound = take.wav();
    if (sound && !signal.aborted) this.player.load(sound);
  }

  /**
   * Judges a recording as a whole.
   * @param {File} file
   */
  async judge(file) {
    if (this.recording) this.stop(); // not awaited: what is given meanwhile comes after this file
    this.#clear("judging");
    this.verdict.show("", ["Judging …", file.name]);
    const { signal } = this.asking;
    this.player.load(file);
    const drawn = this.#drawFile(file, signal);
    try {
      const answer = voiceAnswer(await detectAudio(file, signal));
      const sound = await drawn;
      if (signal.aborted) return;
      for (const chunk of answer.chunks) this.#window(scored(chunk));
      this.threshold = answer.threshold;
      this.#apart(answer, sound);
      this.#showClock(answer.audio_seconds);
      const worst = answer.channel ? `The verdict is on channel ${answer.channel}.` : "";
      const notes = [worst, answerWords(answer), ...answer.warnings, answer.error_message].filter(Boolean).join(" ");
      this.#verdict(answer.label, answer.score ?? null, answer.suspicious ?? [], notes);
    } catch (error) {
      if (!signal.aborted) this.#fail(error);
    }
  }

  /**
   * Where channels were judged apart, shows the worst in the timeline, which has its windows, and a lane for each other.
   * @param {any} answer
   * @param {AudioBuffer | null} sound
   */
  #apart(answer, sound) {
    const channels = answer.channels ?? [];
    if (channels.length < 2) return;
    this.lanes.threshold = answer.threshold;
    for (const channel of channels) {
      const own = sound && channel.number < sound.numberOfChannels ? sound.getChannelData(channel.number) : null;
      if (channel.name === answer.channel) {
        if (own && sound) {
          this.timeline.peaks = new Peaks();
          this.timeline.peaks.push(own, sound.sampleRate);
        }
        continue;
      }
      const windows = channel.chunks.map(scored);
      this.lanes.show(channel, windows, own && sound ? { samples: own, rate: sound.sampleRate } : null);
      for (const window of windows) this.#row(window, channel.name);
    }
    element("lanes").hidden = false;
    for (const cell of this.panel.querySelectorAll(".of-channel")) {
      /** @type {HTMLElement} */ (cell).hidden = false;
      if (cell.tagName === "TD" && !cell.textContent) cell.textContent = answer.channel;
    }
    this.timeline.refresh();
  }

  /** @param {"waiting" | "recording" | "judging"} phase */
  #clear(phase) {
    this.asking.abort();
    this.asking = new AbortController();
    this.player.unload();
    this.timeline.clear();
    this.lanes.clear();
    element("lanes").hidden = true;
    for (const cell of this.panel.querySelectorAll(".of-channel")) /** @type {HTMLElement} */ (cell).hidden = true;
    element("windows").replaceChildren();
    element("windows-details").hidden = true;
    this.note = "";
    this.missed = false;
    this.#showClock(0);
    this.panel.dataset.phase = phase;
  }

  /** @param {import("./client/index.js").JudgedWindow} window */
  #heard(window) {
    this.#window({
      start: window.start_time_seconds,
      end: window.end_time_seconds,
      score: window.p_spoof,
      label: window.label,
    });
  }

  /** @param {import("./client/index.js").DetectionResult["running"]} running */
  #soFar({ label, p_spoof }) {
    if (!this.recording) return;
    if (p_spoof === null) return this.verdict.show("", ["Listening …", "Nobody was heard speaking yet."]);
    const [title, detail] = VOICE_WORDS[label];
    this.verdict.show(label, [title, `So far: ${detail.toLowerCase()}`], percent(p_spoof));
  }

  /**
   * @param {import("./client/index.js").State} state
   * @param {unknown} reason why the session has ended, if it has
   */
  #changed(state, reason) {
    if (state === "reconnecting") {
      this.verdict.show("unsure", ["Connecting again …", "The connection broke. What you say is kept meanwhile."]);
    }
    if (state === "ended" && this.recording) {
      this.#release();
      this.#fail(reason);
    }
  }

  /** @param {unknown} error */
  #fail(error) {
    this.panel.dataset.phase = "judged";
    this.timeline.live = false;
    this.timeline.refresh();
    this.verdict.show("unsure", errorWords(error));
  }

  /**
   * @param {string} label
   * @param {number | null} score
   * @param {{start_time_seconds: number, end_time_seconds: number}[]} suspicious
   * @param {string} note
   */
  #verdict(label, score, suspicious, note) {
    this.panel.dataset.phase = "judged";
    this.timeline.live = false;
    this.timeline.refresh();
    const [title, detail] = VOICE_WORDS[label] ?? [label, ""];
    const colour = label === "no_speech" ? "unsure" : label;
    const words = [detail, suspiciousWords(suspicious, this.timeline.seconds), note].filter(Boolean).join(" ");
    this.verdict.show(colour, [title, words], score === null ? "" : percent(score));
  }

  /** @param {import("./timeline.js").ScoredWindow} window */
  #window(window) {
    this.timeline.add(window);
    this.#row(window);
  }

  /**
   * @param {import("./timeline.js").ScoredWindow} window
   * @param {string} channel empty: the only one, or that whose verdict is shown
   */
  #row(window, channel = "") {
    element("windows-details").hidden = false;
    const row = document.createElement("tr");
    const score = window.score === null ? "–" : percent(window.score);
    const label = WINDOW_WORDS[window.label] ?? window.label;
    for (const text of [clock(window.start, true), clock(window.end, true), score, label]) {
      const cell = row.insertCell();
      cell.textContent = text;
      cell.dataset.label = text === label ? window.label : "";
    }
    const of = row.insertCell(3);
    of.className = "of-channel";
    of.textContent = channel;
    of.hidden = true;
    element("windows").append(row);
  }

  /**
   * @param {Float32Array} samples
   * @param {number} rate
   */
  #draw(samples, rate) {
    this.timeline.peaks.push(samples, rate);
    this.timeline.refresh();
    this.#showClock(this.timeline.peaks.seconds);
  }

  /**
   * Draws a file's waveform, if the browser can decode it; the service decodes for itself.
   * @param {File} file
   * @param {AbortSignal} signal
   * @returns {Promise<AudioBuffer | null>} what was decoded
   */
  async #drawFile(file, signal) {
    if (file.size > MOST_DRAWN_BYTES) return null;
    const context = new OfflineAudioContext(1, 1, 16_000);
    let sound;
    try {
      sound = await context.decodeAudioData(await file.arrayBuffer());
    } catch {
      return null; // a format that only the service knows
    }
    if (!signal.aborted) this.#draw(sound.getChannelData(0), sound.sampleRate);
    return sound;
  }

  /** @param {boolean} on */
  #showRecording(on) {
    this.record.setAttribute("aria-pressed", String(on));
    const label = this.record.querySelector("span");
    if (label) label.textContent = on ? "Stop" : "Record";
    element("open-recording").hidden = on;
  }

  /** @param {number} seconds */
  #showClock(seconds) {
    element("clock").textContent = clock(seconds, true);
  }
}

/**
 * A chunk of the service's answer as a window of the timeline.
 * @param {any} chunk
 * @returns {import("./timeline.js").ScoredWindow}
 */
function scored(chunk) {
  return {
    start: chunk.start_time_seconds,
    end: chunk.end_time_seconds,
    score: chunk.score ?? null,
    label: chunk.label,
  };
}
