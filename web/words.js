/** What the page says: labels, reasons, errors and figures in words. */

/** @type {Record<string, [title: string, detail: string]>} */
export const VOICE_WORDS = {
  bonafide: ["Bona fide", "Likely a real person speaking."],
  spoof: ["Spoof", "Likely a synthetic or altered voice."],
  no_speech: ["No speech", "Nobody was heard speaking, so nothing was judged."],
};

/** @type {Record<string, string>} */
export const WINDOW_WORDS = { bonafide: "bona fide", spoof: "spoof", no_speech: "no speech" };

/** @type {Record<string, [title: string, detail: string]>} */
export const FACE_WORDS = {
  live: ["Live", "Likely a real face before the camera."],
  fake: ["Fake", "Likely a print, a screen or a mask."],
};

/** Why a photo's verdict should not be relied on. @type {Record<string, string>} */
export const REASON_WORDS = {
  no_face: "No face was found, so this verdict means little.",
  several_faces: "There are several faces; the verdict is about the whole photo.",
  small_face: "The face is small; come closer for a verdict to rely on.",
  dark: "The photo is dark; find more light for a verdict to rely on.",
  blurred: "The photo is blurred; hold still for a verdict to rely on.",
};

/** @type {Record<string, string>} */
const ERROR_WORDS = {
  unreadable_media: "This file cannot be read",
  too_large: "This is more than the service takes",
  overloaded: "The service is busy; try again in a moment",
  unavailable: "The service cannot be reached",
  deadline_exceeded: "The answer took too long",
  unauthenticated: "The service asks for a key, which this page does not have",
  internal: "Something went wrong in the service",
};

/**
 * Where a voice is suspicious; nothing when it is so from beginning to end.
 * @param {{start_time_seconds: number, end_time_seconds: number}[]} stretches
 * @param {number} seconds of the whole
 */
export function suspiciousWords(stretches, seconds) {
  const parts = stretches.filter((part) => part.end_time_seconds - part.start_time_seconds < 0.9 * seconds);
  if (!parts.length) return "";
  const times = parts.slice(0, 3).map((part) => `${clock(part.start_time_seconds)} to ${clock(part.end_time_seconds)}`);
  const more = parts.length > 3 ? ` and ${parts.length - 3} more` : "";
  return `Suspicious: ${times.join(", ")}${more}.`;
}

/** @type {Record<string, string>} */
const DECISION_WORDS = {
  bonafide: "Decision: genuine.",
  spoof: "Decision: fake.",
  uncertain: "Decision: uncertain; ask again, or look closer.",
};

/** @type {Record<string, string>} */
const CONDITION_WORDS = {
  narrow_band: "a narrow band, as of a telephone",
  clipping: "clipping",
  low_level: "a low level",
  noise: "noise",
  little_speech: "little speech",
  codec: "a lossy codec",
  music: "music",
};

/**
 * What is said beside the label: the decision, and what weakens it; nothing of what the service does not tell.
 * @param {{decision?: string, partially_spoofed?: boolean, conditions?: string[]}} answer
 */
export function answerWords(answer) {
  const conditions = (answer.conditions ?? []).map((name) => CONDITION_WORDS[name] ?? name);
  return [
    DECISION_WORDS[answer.decision ?? ""] ?? "",
    answer.partially_spoofed ? "Genuine by its mean, but not everywhere." : "",
    conditions.length ? `Weakened by ${conditions.join(", ")}.` : "",
  ]
    .filter(Boolean)
    .join(" ");
}

/** @typedef {{number: number, name: string, label: string, score?: number}} Channel */

/**
 * What was found of one channel, in a line.
 * @param {Channel} channel
 */
export function channelWords({ name, label, score }) {
  const words = `Channel ${name}: ${WINDOW_WORDS[label] ?? label}`;
  return score === undefined ? words : `${words}, spoof ${percent(score)}`;
}

/** @param {number} share 0..1 */
export function percent(share) {
  return `${(100 * share).toFixed(share > 0 && share < 0.1 ? 1 : 0)} %`;
}

/**
 * @param {number} seconds
 * @param {boolean} tenths
 */
export function clock(seconds, tenths = false) {
  const units = Math.round(seconds * (tenths ? 10 : 1)) / (tenths ? 10 : 1);
  const minutes = Math.floor(units / 60);
  const rest = (units - 60 * minutes).toFixed(tenths ? 1 : 0).padStart(tenths ? 4 : 2, "0");
  return `${minutes}:${rest}`;
}

/**
 * An error in a title and a sentence.
 * @param {unknown} error
 * @returns {[title: string, detail: string]}
 */
export function errorWords(error) {
  const { name = "", code = "", message = String(error), requestId = "" } = /** @type {any} */ (error) ?? {};
  if (name === "NotAllowedError") return ["Not allowed", "The browser was told to keep microphone and camera to itself."];
  if (name === "NotFoundError") return ["Nothing to record with", "No microphone or camera was found."];
  if (name === "NotReadableError") return ["Nothing to record with", "Another program holds the microphone or the camera."];
  const detail = requestId ? `${message} (request ${requestId})` : message;
  return [ERROR_WORDS[code] ?? "That did not work", detail];
}
