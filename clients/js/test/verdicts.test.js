import assert from "node:assert/strict";
import { test } from "node:test";

import { LiveSession } from "../dist/session.js";

const RUNNING = { label: "bonafide", p_spoof: 0.1 };
const WINDOW = {
  sequence: 0, start_time_seconds: 0, end_time_seconds: 1, label: "bonafide", is_spoof: false, p_spoof: 0.1,
  speech_ratio: 1, running: RUNNING,
};
const CHANNEL = { number: 0, name: "agent", label: "bonafide", is_spoof: false, p_spoof: 0.1, windows: [], suspicious: [] };
const STRETCH = { start_time_seconds: 0, end_time_seconds: 1, p_spoof: 0.9 };
const SUMMARY = {
  type: "summary", label: "bonafide", is_spoof: false, p_spoof: 0.1, threshold: 0.5, audio_seconds: 1, decision: "uncertain",
  windows: [WINDOW], suspicious: [STRETCH], channels: [CHANNEL],
};

/** Asks for something over a connection, and gives the session this answer. */
function answered(kind, message) {
  const session = new LiveSession("test", {});
  session.opened();
  session.received('{"type": "connected"}');
  session.ask({ kind });
  return session.received(JSON.stringify(message));
}

const detection = (changes) => answered("flush", { type: "detection_result", windows: [WINDOW, { ...WINDOW, ...changes }] });
const summary = (changes) => answered("end", { ...SUMMARY, ...changes });

test("an answer of a Bonafide service is taken", () => {
  const silent = { label: "no_speech", p_spoof: null, running: { label: "no_speech", p_spoof: null } };
  assert.equal(detection(silent).detection.windows.length, 2);
  assert.equal(detection({ label: "spoof", is_spoof: true, p_spoof: 1 }).detection.windows.length, 2);
  assert.equal(summary({}).summary.label, "bonafide");
});

test("what could be taken for its opposite is refused, and says what kind of service answers so", () => {
  const wrong = [
    { label: "real" }, { label: undefined }, { label: "SPOOF" }, { label: ["spoof"] }, { p_spoof: 1.5 }, { p_spoof: "0.9" },
    { p_spoof: undefined }, { is_spoof: true }, { member_scores: { one: -1 } }, { llr: "high" },
  ];
  const refused = { name: "BonafideError", code: "internal", message: /newer than this client, or no Bonafide service/ };
  for (const changes of [...wrong, { running: { ...RUNNING, label: "real" } }, { running: undefined }]) {
    assert.throws(() => detection(changes), refused, JSON.stringify(changes));
  }
  assert.throws(() => answered("flush", { type: "detection_result" }), refused);
  for (const changes of [{ speech_ratio: undefined }, { start_time_seconds: "0" }, { end_time_seconds: null }]) {
    assert.throws(() => detection(changes), refused, JSON.stringify(changes));
    assert.throws(() => summary({ windows: [{ ...WINDOW, ...changes }] }), refused, JSON.stringify(changes));
  }
  assert.throws(() => summary({ threshold: undefined }), refused);
  for (const changes of [...wrong, { decision: "live" }, { windows: undefined }, { suspicious: [{ ...STRETCH, p_spoof: 2 }] }]) {
    assert.throws(() => summary(changes), refused, JSON.stringify(changes));
    assert.throws(() => summary({ channels: [{ ...CHANNEL, ...changes }] }), refused, JSON.stringify(changes));
  }
  assert.throws(() => summary({ windows: [{ ...WINDOW, label: "real" }] }), refused);
});
