/** What could turn a verdict into its opposite is refused here, before a caller takes all but `spoof` for bona fide. */

import { BonafideError } from "./errors.js";
import type { DetectionMessage, JudgedWindow, Summary } from "./messages.js";

const LABELS: readonly unknown[] = ["spoof", "bonafide", "no_speech"];
const DECISIONS: readonly unknown[] = [undefined, null, "bonafide", "spoof", "uncertain"];

/** What is read of a verdict; of an answer that no Bonafide service gives it may be anything. */
interface Verdict {
  label: unknown;
  p_spoof: unknown;
  is_spoof?: unknown;
  decision?: unknown;
  member_scores?: unknown;
  llr?: unknown;
}

/** @throws BonafideError a label or a score that no Bonafide service gives */
export function checkDetection({ windows }: DetectionMessage): void {
  for (const window of list(windows)) {
    checkWindow(window);
    checkVerdict(window.running);
  }
}

/** @throws BonafideError as for `checkDetection` */
export function checkSummary(summary: Summary): void {
  checkNumber("threshold", summary.threshold);
  for (const whole of [summary, ...list(summary.channels ?? [])]) {
    checkVerdict(whole);
    for (const window of list(whole.windows)) checkWindow(window);
    for (const { p_spoof } of list(whole.suspicious)) checkScore(p_spoof);
  }
}

/** A mean of what is no number would be below every threshold. */
function checkWindow(window: JudgedWindow): void {
  checkVerdict(window);
  checkNumber("speech ratio", window.speech_ratio);
  checkNumber("start", window.start_time_seconds);
  checkNumber("end", window.end_time_seconds);
}

function checkVerdict(verdict: Verdict | undefined): void {
  const { label, p_spoof, is_spoof, decision, member_scores, llr } = verdict ?? { label: undefined, p_spoof: undefined };
  if (!LABELS.includes(label)) throw nonsense("label", label);
  if (is_spoof !== undefined && is_spoof !== (label === "spoof")) throw nonsense(`label ${label} with is_spoof`, is_spoof);
  if (!DECISIONS.includes(decision)) throw nonsense("decision", decision);
  if (llr !== undefined && llr !== null && typeof llr !== "number") throw nonsense("log likelihood ratio", llr);
  for (const score of [p_spoof, ...Object.values(member_scores ?? {})]) checkScore(score);
}

function checkScore(score: unknown): void {
  if (score !== null && !(typeof score === "number" && score >= 0 && score <= 1)) throw nonsense("score", score);
}

function checkNumber(what: string, value: unknown): void {
  if (!Number.isFinite(value)) throw nonsense(what, value);
}

function list<T>(found: T[]): T[] {
  if (!Array.isArray(found)) throw nonsense("windows", found);
  return found;
}

function nonsense(what: string, value: unknown): BonafideError {
  const told = `${what} ${JSON.stringify(value)}`;
  return new BonafideError("internal", `the service answered with ${told}: it is newer than this client, or no Bonafide service`);
}
