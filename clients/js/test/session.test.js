import assert from "node:assert/strict";
import { test } from "node:test";

import { BonafideError } from "../dist/errors.js";
import { LiveSession } from "../dist/session.js";
import { summaryAfter } from "../dist/summary.js";

const RATE = 1_000;

/** The service's side of one connection; a window's score is its mean sample. */
class Service {
  buffer = [];
  start = 0;
  count = 0;
  windows = [];
  overlap = 0;

  answer(frame) {
    if (typeof frame !== "string") {
      this.buffer.push(...new Float32Array(frame));
      return this.judged(RATE);
    }
    const message = JSON.parse(frame);
    switch (message.type) {
      case "connect":
        return { type: "connected", client_id: message.client_id };
      case "config":
        this.overlap = message.overlap_duration ?? 0;
        return { type: "config_updated", config: { overlap_duration: this.overlap } };
      case "flush":
        return this.judged(Math.max(RATE / 4, this.buffer.length), true);
      case "end":
        return {
          type: "summary", threshold: 0.5, audio_seconds: (this.start + this.buffer.length) / RATE,
          windows: this.windows, suspicious: [], label: "bonafide", is_spoof: false, p_spoof: 0,
        };
    }
  }

  judged(length, whole = false) {
    const windows = [];
    while (this.buffer.length >= length) {
      const part = this.buffer.slice(0, length);
      const p_spoof = part.reduce((sum, sample) => sum + sample, 0) / length;
      const label = p_spoof >= 0.5 ? "spoof" : "bonafide";
      windows.push({
        sequence: this.count++, start_time_seconds: this.start / RATE, end_time_seconds: (this.start + length) / RATE,
        p_spoof, label, speech_ratio: 1, running: { label, p_spoof },
      });
      const hop = whole ? length : length - this.overlap * RATE;
      this.buffer.splice(0, hop);
      this.start += hop;
    }
    this.windows.push(...windows);
    return windows.length ? { type: "detection_result", windows } : { type: "buffering" };
  }
}

/** Streams a ramp; after each number of answers in `cuts` the connection breaks, with what was under way. */
function stream(size, cuts, windowing = {}, errors = []) {
  const session = new LiveSession("test", windowing);
  const answers = [];
  let service = new Service();
  let wire = session.opened();
  let untilCut = cuts.shift() ?? Infinity;
  const pump = () => {
    while (wire.length) {
      if (untilCut-- <= 0) {
        untilCut = cuts.shift() ?? Infinity;
        service = new Service();
        wire = session.opened();
        continue;
      }
      const frame = wire.shift();
      let message = service.answer(frame);
      if (typeof frame !== "string" && errors.length) message = { type: "error", code: errors.shift(), message: "as told" };
      answers.push(session.received(JSON.stringify(message)));
    }
  };
  const audio = Float32Array.from({ length: 5_400 }, (_, index) => index / 5_400);
  for (let at = 0; at < audio.length; at += size) {
    const samples = audio.subarray(at, at + size);
    wire.push(...session.ask({ kind: "audio", audio: { samples, rate: RATE, encoding: "float32" } }));
    if (at % 3 === 0) pump(); // sometimes more than one frame is under way
  }
  wire.push(...session.ask({ kind: "flush" }), ...session.ask({ kind: "end" }));
  pump();
  return {
    windows: answers.flatMap((answer) => answer?.detection?.windows ?? []),
    summary: answers.at(-1).summary,
    errors: answers.flatMap((answer) => answer?.error ?? []),
  };
}

test("wherever connections break, the windows are the same", () => {
  for (const windowing of [{}, { chunk_duration: 1, overlap_duration: 0.5 }]) {
    for (const size of [100, 333, 1_000, 2_500]) {
      const whole = stream(size, [], windowing);
      assert.equal(whole.windows.at(-1).end_time_seconds, 5.4);
      for (let cut = 0; cut < 40; cut += 3) {
        const torn = stream(size, [cut, 7, 5], windowing);
        assert.deepEqual(torn.windows, whole.windows, `size ${size}, cut after ${cut}`);
        assert.equal(torn.summary.windows.length, whole.windows.length);
        assert.equal(torn.summary.audio_seconds, 5.4);
      }
    }
  }
});

test("the members of an ensemble are taken together as the scores are", () => {
  const heard = (sequence, speech_ratio, member_scores) => ({
    sequence, start_time_seconds: sequence, end_time_seconds: sequence + 1, p_spoof: 0.5, label: "spoof", speech_ratio,
    ...(member_scores && { member_scores }),
  });
  const summary = (...windows) => ({ threshold: 0.5, windows });
  const whole = summaryAfter([heard(0, 0.6, { a: 0.2, b: 0.5 })], summary(heard(1, 0.2, { a: 1, b: 0.5 })));
  assert.ok(Math.abs(whole.member_scores.a - (0.6 * 0.2 + 0.2) / 0.8) < 1e-9);
  assert.equal(whole.member_scores.b, 0.5);
  assert.ok(!("member_scores" in summaryAfter([heard(0, 1)], summary(heard(1, 1)))));
  const other = { ...summary(heard(1, 1, { b: 0.9 })), member_scores: { b: 0.9 } };
  assert.ok(!("member_scores" in summaryAfter([heard(0, 1, { a: 0.2 })], other)), "another model answered");
});

test("the summary of a resumed stream covers all of it", () => {
  const { summary } = stream(500, [9]);
  assert.deepEqual([summary.label, summary.is_spoof], ["bonafide", false]);
  assert.ok(Math.abs(summary.p_spoof - 0.5) < 0.01);
  assert.equal(summary.suspicious.length, 1);
  assert.equal(summary.suspicious[0].start_time_seconds, 3);
  assert.equal(summary.suspicious[0].end_time_seconds, 5.4);
});

test("a pause within a suspicious stretch belongs to it, a window that is missing ends it", () => {
  const found = (...windows) => {
    const whole = summaryAfter(windows.slice(0, 1), { threshold: 0.5, windows: windows.slice(1) });
    return whole.suspicious.map(({ start_time_seconds, end_time_seconds }) => [start_time_seconds, end_time_seconds]);
  };
  const pause = (sequence) => ({ ...placed(sequence, null), label: "no_speech", speech_ratio: 0 });
  const [spoof, real] = [(sequence) => placed(sequence, 0.9), (sequence) => placed(sequence, 0.1)];
  assert.deepEqual(found(spoof(0), pause(1), spoof(2), pause(3)), [[0, 3]]);
  assert.deepEqual(found(spoof(0), real(1), pause(2), spoof(3)), [[0, 1], [3, 4]]);
  assert.deepEqual(found(spoof(0), spoof(2), spoof(3)), [[0, 1], [2, 4]]);
});

test("where no speech is asked for windows weigh their seconds", () => {
  const heard = (sequence, p_spoof, speech_ratio) => ({ ...placed(sequence, p_spoof), speech_ratio });
  const whole = summaryAfter([heard(0, 0.9, 0), heard(1, 0.8, 0)], { threshold: 0.5, windows: [heard(2, 0.1, 0.2)] });
  assert.ok(Math.abs(whole.p_spoof - 0.6) < 1e-9);
  assert.deepEqual([whole.label, whole.suspicious.length], ["spoof", 1]);
  assert.ok(Math.abs(whole.suspicious[0].p_spoof - 0.85) < 1e-9);
});

test("what was not judged for an error is kept, what was refused is not", () => {
  const judgedLater = stream(500, [6], {}, ["unavailable", "overloaded"]);
  assert.deepEqual(judgedLater.errors.map((error) => [error.code, error.retryable]), [["unavailable", true], ["overloaded", true]]);
  assert.equal(judgedLater.windows.at(-1).end_time_seconds, 5.4);
});

test("refused audio is not sent again", () => {
  for (const code of ["invalid_request", "too_large", "unreadable_media"]) {
    const session = new LiveSession("test", {});
    session.opened();
    session.received('{"type": "connected"}');
    const say = (samples) => session.ask({ kind: "audio", audio: { samples, rate: RATE, encoding: "float32" } });
    say(Float32Array.of(NaN));
    session.received('{"type": "config_updated", "config": {"overlap_duration": 0}}');
    assert.equal(session.received(JSON.stringify({ type: "error", code, message: "refused" })).error.code, code);
    say(Float32Array.of(0.5));
    session.received('{"type": "buffering"}');
    const again = session.opened().filter((frame) => typeof frame !== "string").map((frame) => [...new Float32Array(frame)]);
    assert.deepEqual(again, [[0.5]], code);
  }
});

test("an answer that no service gives is refused", () => {
  for (const message of [{ type: "summary" }, { type: "error", code: "internal", message: "" }]) {
    const session = new LiveSession("test", {});
    session.opened();
    assert.throws(() => session.received(JSON.stringify(message)), BonafideError);
  }
  const session = new LiveSession("test", {});
  session.opened();
  assert.equal(session.received('{"type": "news"}'), null);
  session.received('{"type": "connected"}');
  assert.throws(() => session.received('{"type": "pong-like", "type": "connected"}'), /nothing was asked/);
});

test("text encodings travel as the first clients sent them", () => {
  const session = new LiveSession("test", {});
  session.opened();
  for (const encoding of ["json", "base64"]) {
    const frames = session.ask({ kind: "audio", audio: { samples: Float32Array.of(0, 0.5), rate: 8_000, encoding } });
    assert.equal(frames.length, 1);
    const { timestamp, ...message } = JSON.parse(frames[0]);
    assert.equal(typeof timestamp, "number");
    assert.deepEqual(message, {
      type: "audio_chunk", client_id: "test", sample_rate: 8_000, encoding,
      audio_data: encoding === "json" ? [0, 0.5] : "AAAAAAAAAD8=",
    });
  }
});

test("text after binary frames says that it holds float32", () => {
  const session = new LiveSession("test", {});
  session.opened();
  const ask = (encoding) =>
    session
      .ask({ kind: "audio", audio: { samples: Float32Array.of(0), rate: 8_000, encoding } })
      .filter((frame) => typeof frame === "string")
      .map((frame) => JSON.parse(frame))
      .filter(({ type }) => type === "config");
  assert.deepEqual(ask("pcm16"), [{ type: "config", encoding: "pcm16", sample_rate: 8_000 }]);
  assert.deepEqual(ask("base64"), [{ type: "config", encoding: "float32" }]);
  assert.deepEqual(ask("base64"), []);
  assert.equal(ask("pcm16").length, 1);
});

function placed(sequence, p_spoof, channel) {
  const label = p_spoof >= 0.5 ? "spoof" : "bonafide";
  const place = { sequence, start_time_seconds: sequence, end_time_seconds: sequence + 1 };
  return { ...place, p_spoof, label, speech_ratio: 1, running: { label, p_spoof }, ...(channel !== undefined && { channel }) };
}

test("audio of two channels is configured, and sent again from a whole frame", () => {
  const session = new LiveSession("test", { channels: 2, channel_mode: "separate" });
  for (const _ of session.opened()) session.received(JSON.stringify({ type: "connected" }));
  const samples = Float32Array.from({ length: 3_000 }, (_, index) => index);
  const [config] = session.ask({ kind: "audio", audio: { samples, rate: RATE, encoding: "float32", channels: 2 } });
  const { channels, channel_mode, sample_rate } = JSON.parse(config);
  assert.deepEqual([channels, channel_mode, sample_rate], [2, "separate", RATE]);
  session.received(JSON.stringify({ type: "config_updated", config: { overlap_duration: 0 } }));
  assert.equal(session.unansweredSeconds, 1.5);
  const windows = [placed(0, 0.9, "0"), placed(0, 0.1, "1")];
  const answer = session.received(JSON.stringify({ type: "detection_result", windows, result: windows[0] }));
  assert.equal(answer.detection.result.channel, "0");
  const again = session.opened().filter((frame) => typeof frame !== "string").map((frame) => [...new Float32Array(frame)]);
  assert.deepEqual(again.flat(), [...samples.slice(2_000)]);
});

test("a resumed stream of two channels is summed up channel by channel", () => {
  const earlier = [placed(0, 0.2), placed(1, 0.9, "agent"), placed(1, 0.1, "caller")];
  const verdict = (number, name, window, more) => ({ number, name, windows: [window], suspicious: [], ...more });
  const channels = [
    verdict(0, "agent", placed(2, 0.7, "agent"), { conditions: ["noise"] }),
    verdict(1, "caller", placed(2, 0.3, "caller"), {}),
  ];
  const whole = summaryAfter(earlier, { threshold: 0.5, windows: channels[0].windows, channel: "agent", channels });
  assert.deepEqual(whole.channels.map(({ name, label }) => [name, label]), [["agent", "spoof"], ["caller", "bonafide"]]);
  assert.ok(Math.abs(whole.p_spoof - 0.6) < 1e-9 && Math.abs(whole.channels[1].p_spoof - 0.2) < 1e-9);
  assert.deepEqual([whole.channel, whole.is_spoof, whole.conditions], ["agent", true, ["noise"]]);
  assert.deepEqual(whole.windows.map(({ sequence }) => sequence), [0, 1, 2]);
  const older = channels.map(({ conditions: _conditions, ...channel }) => channel);
  const last = { threshold: 0.5, windows: older[1].windows, channel: "caller", channels: older, conditions: ["narrow_band"] };
  assert.ok(!("conditions" in summaryAfter(earlier, last)), "those of another channel");
  const together = summaryAfter(earlier, { threshold: 0.5, windows: [placed(2, 0.5)] });
  assert.deepEqual(together.channels.map(({ number, name }) => [number, name]), [[0, "agent"], [1, "caller"]]);
});

test("an error that nobody asked for is why the service ends the session", () => {
  const session = new LiveSession("test", {});
  session.opened();
  session.received('{"type":"connected"}');
  const refused = { type: "error", code: "overloaded", message: "full", request_id: "r" };
  assert.throws(() => session.received(JSON.stringify(refused)), ({ code, message }) => code === "overloaded" && message === "full");
  assert.throws(() => session.received('{"type":"buffering"}'), /nothing was asked/);
});
