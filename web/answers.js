/** What the service answers over HTTP, looked at before it is shown: a word that is not known could be taken for its opposite. */

import { ServiceError } from "./service.js";

const VOICE = ["spoof", "bonafide", "no_speech"];
const DECISIONS = [undefined, "", "bonafide", "spoof", "uncertain"];

/**
 * The verdict on a recording.
 * @param {any} answer
 * @returns {any}
 */
export function voiceAnswer(answer) {
  for (const whole of [answer, ...(answer.channels ?? [])]) {
    checkVoice(whole, answer);
    for (const chunk of whole.chunks ?? []) checkVoice(chunk, answer);
  }
  return answer;
}

/**
 * The verdict on a photo, or why there is none.
 * @param {any} answer
 * @returns {any}
 */
export function faceAnswer(answer) {
  if (!answer.success) throw new ServiceError(answer.error_code, answer.error_message, answer.request_id);
  const { predicted_class: label, is_live, decision, probabilities } = answer;
  if ((label !== "live" && label !== "fake") || is_live !== (label === "live")) {
    throw nonsense(`class ${JSON.stringify(label)} with is_live ${is_live}`, answer);
  }
  if (!DECISIONS.includes(decision)) throw nonsense(`decision ${JSON.stringify(decision)}`, answer);
  checkScore(probabilities?.fake, answer);
  return answer;
}

/**
 * @param {{label: string, score?: number, decision?: string}} verdict on a recording, a channel or a chunk
 * @param {any} answer
 */
function checkVoice({ label, score, decision }, answer) {
  if (!VOICE.includes(label)) throw nonsense(`label ${JSON.stringify(label)}`, answer);
  if (!DECISIONS.includes(decision)) throw nonsense(`decision ${JSON.stringify(decision)}`, answer);
  if (label !== "no_speech" || score !== undefined) checkScore(score, answer);
}

/**
 * @param {unknown} score
 * @param {any} answer
 */
function checkScore(score, answer) {
  if (!(typeof score === "number" && score >= 0 && score <= 1)) throw nonsense(`score ${JSON.stringify(score)}`, answer);
}

/**
 * @param {string} what
 * @param {any} answer
 */
function nonsense(what, answer) {
  const words = `The service answered with ${what}: it is newer than this page, or no Bonafide service.`;
  return new ServiceError("internal", words, answer.request_id);
}
