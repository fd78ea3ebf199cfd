// Against the running service that BONAFIDE_LIVE_URL names, partly through a proxy that breaks connections.
import assert from "node:assert/strict";
import { connect, createServer } from "node:net";
import { test } from "node:test";

import { AudioDetectionClient, BonafideError } from "../dist/index.js";

const URL_ = process.env.BONAFIDE_LIVE_URL;
const RATE = 16_000;
const SKIP = URL_ ? false : "BONAFIDE_LIVE_URL names no running service";

/** A voice-like sound. */
function speech(seconds) {
  return Float32Array.from({ length: seconds * RATE }, (_, index) => {
    const time = index / RATE;
    const phase = 2 * Math.PI * 130 * time + 3 * Math.sin(2 * Math.PI * 0.7 * time);
    let sum = 0;
    for (let k = 1; k < 12; k++) sum += Math.sin(k * phase) / k;
    return 0.3 * sum * (0.5 + 0.5 * Math.sin(2 * Math.PI * 3 * time));
  });
}

function chunks(audio, size) {
  return Array.from({ length: Math.ceil(audio.length / size) }, (_, index) => audio.slice(index * size, (index + 1) * size));
}

/** Listens where the service seems to be; `break()` tears all connections. */
async function proxy() {
  const target = new URL(URL_);
  const sockets = new Set();
  const server = createServer((near) => {
    const far = connect(Number(target.port), target.hostname);
    for (const [from, to] of [[near, far], [far, near]]) {
      sockets.add(from);
      from.pipe(to);
      from.on("error", () => {}).on("close", () => (to.destroy(), sockets.delete(from)));
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `ws://127.0.0.1:${server.address().port}${target.pathname}`,
    break: () => sockets.forEach((socket) => socket.destroy()),
    close: () => server.close(),
  };
}

async function streamed(client, audio, { size = 4_000, encoding, afterChunk = () => {} } = {}) {
  const windows = [];
  client.onDetectionResult = (result) => windows.push(result);
  const { model } = await client.connect();
  assert.equal(typeof model.name, "string");
  const answers = [];
  for (const [index, chunk] of chunks(audio, size).entries()) {
    answers.push(client.sendAudioChunk(chunk, RATE, encoding));
    await afterChunk(index, answers);
  }
  await Promise.all(answers);
  const summary = await client.end();
  assert.equal(client.state, "ended");
  return { windows, summary };
}

test("every encoding gets the same verdicts", { skip: SKIP }, async () => {
  const audio = speech(3);
  const found = {};
  for (const encoding of ["float32", "pcm16", "l16", "base64", "json"]) {
    const { windows, summary } = await streamed(new AudioDetectionClient(URL_), audio, { encoding });
    assert.deepEqual(windows.map(({ sequence, end_time_seconds }) => [sequence, end_time_seconds]), [[0, 1], [1, 2], [2, 3]]);
    assert.equal(summary.audio_seconds, 3);
    found[encoding] = windows;
  }
  for (const windows of Object.values(found)) {
    windows.forEach((window, index) => {
      assert.equal(window.label, found.float32[index].label);
      assert.ok(Math.abs((window.p_spoof ?? 0) - (found.float32[index].p_spoof ?? 0)) < 0.05);
    });
  }
});

test("a stream goes on over a connection that breaks", { skip: SKIP }, async () => {
  const audio = speech(6);
  const whole = await streamed(new AudioDetectionClient(URL_), audio);
  const way = await proxy();
  const states = [];
  const client = new AudioDetectionClient(way.url);
  client.onStateChange = (state) => states.push(state);
  const torn = await streamed(client, audio, {
    afterChunk: async (index, answers) => {
      if (index === 6) await Promise.all(answers);
      if (index === 9 || index === 15) way.break();
    },
  });
  way.close();
  assert.ok(states.includes("reconnecting"));
  const place = ({ sequence, start_time_seconds, end_time_seconds }) => [sequence, start_time_seconds, end_time_seconds];
  assert.deepEqual(torn.windows.map(place), whole.windows.map(place));
  torn.windows.forEach((window, index) => {
    assert.ok(Math.abs((window.p_spoof ?? 0) - (whole.windows[index].p_spoof ?? 0)) < 0.05, `window ${index}`);
  });
  assert.equal(torn.summary.windows.length, whole.summary.windows.length);
  assert.equal(torn.summary.audio_seconds, 6);
});

test("a flush judges what is less than a window", { skip: SKIP }, async () => {
  const client = new AudioDetectionClient(URL_);
  await client.connect();
  assert.equal(await client.sendAudioChunk(speech(1).slice(0, 8_000)), null);
  const result = await client.flush();
  assert.equal(result.end_time_seconds, 0.5);
  assert.equal(await client.flush(), null);
  client.disconnect();
  await assert.rejects(client.sendAudioChunk([0]), BonafideError);
});

test("what the service refuses is told to promise and handler", { skip: SKIP }, async () => {
  const client = new AudioDetectionClient(URL_);
  const told = [];
  client.onError = (error) => told.push(error.code);
  await client.connect();
  await assert.rejects(client.sendAudioChunk([0], 1), { code: "invalid_request" });
  assert.deepEqual(told, ["invalid_request"]);
  client.disconnect();
});

test("nobody listens", async () => {
  const client = new AudioDetectionClient("ws://127.0.0.1:1/ws/detect");
  await assert.rejects(client.connect(), { code: "unavailable" });
  assert.equal(client.state, "ended");
  await assert.rejects(new AudioDetectionClient("ws://127.0.0.1:1/").flush(), /connect/);
});

test("a service that is lost is looked for, and then given up", { skip: SKIP }, async () => {
  const way = await proxy();
  const client = new AudioDetectionClient(way.url, { reconnectMs: 500 });
  await client.connect();
  way.close();
  way.break();
  await assert.rejects(client.sendAudioChunk([0, 0]), { code: "unavailable" });
  assert.equal(client.state, "ended");
});

test("more than may wait is refused", { skip: SKIP }, async () => {
  const client = new AudioDetectionClient(URL_, { mostAhead: 1 });
  await client.connect();
  const answers = [client.sendAudioChunk(speech(2)), client.sendAudioChunk(speech(2))];
  await assert.rejects(answers[1], { code: "overloaded" });
  await answers[0];
  client.disconnect();
});

test("silence of the other side counts as a broken connection", async () => {
  class Mute {
    static made = 0;
    readyState = 1;
    constructor() {
      Mute.made++;
      setTimeout(() => this.onopen());
    }
    send(frame) {
      if (Mute.made === 1 && String(frame).includes("connect")) this.onmessage({ data: '{"type": "connected"}' });
    }
    close() {}
  }
  const client = new AudioDetectionClient("ws://mute", { WebSocket: Mute, answerMs: 50, reconnectMs: 300 });
  await client.connect();
  await assert.rejects(client.flush(), { code: "unavailable" });
  assert.ok(Mute.made > 1);
});

/** A socket that opens at once; `answer` gives the answer to each frame, or null to break the connection at it. */
function peer(answer) {
  return class Peer {
    static made = 0;
    readyState = 0;
    constructor() {
      const number = ++Peer.made;
      this.answer = (frame) => answer(frame, number);
      setTimeout(() => {
        this.readyState = 1;
        this.onopen?.();
      });
    }
    send(frame) {
      const message = this.answer(frame);
      setTimeout(() => {
        if (message) return this.onmessage?.({ data: JSON.stringify(message) });
        this.readyState = 3;
        this.onclose?.({ code: 1011, reason: "" });
      });
    }
    close() {}
  };
}

const HEARD = { connect: { type: "connected" }, config: { type: "config_updated", config: { overlap_duration: 0 } } };

test("a service that breaks each connection at the audio is given up", { timeout: 10_000 }, async (context) => {
  const Peer = peer((frame) => (typeof frame === "string" ? HEARD[JSON.parse(frame).type] : null));
  const client = new AudioDetectionClient("ws://peer", { WebSocket: Peer, reconnectMs: 1_000 });
  context.after(() => client.disconnect());
  await client.connect();
  await assert.rejects(client.sendAudioChunk([0, 0]), { code: "unavailable" });
  assert.equal(client.state, "ended");
  assert.ok(Peer.made > 2 && Peer.made < 8, `${Peer.made} connections`);
});

test("once audio is answered again, a lost service is looked for anew", { timeout: 10_000 }, async () => {
  let breaking = 0;
  const Peer = peer((frame) => {
    if (typeof frame === "string") return HEARD[JSON.parse(frame).type];
    return breaking-- > 0 ? null : { type: "buffering" };
  });
  const client = new AudioDetectionClient("ws://peer", { WebSocket: Peer, reconnectMs: 1_000 });
  await client.connect();
  for (let round = 0; round < 3; round++) {
    breaking = 1;
    assert.equal(await client.sendAudioChunk([0, 0]), null);
    await new Promise((resolve) => setTimeout(resolve, 600)); // more than reconnectMs in all
  }
  client.disconnect();
});

test("a handshake that nobody answers counts as a broken connection", { timeout: 10_000 }, async (context) => {
  const held = new Set();
  const server = createServer((socket) => held.add(socket.on("error", () => {})));
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const client = new AudioDetectionClient(`ws://127.0.0.1:${server.address().port}/`, { answerMs: 200 });
  context.after(() => {
    held.forEach((socket) => socket.destroy());
    server.close();
  });
  await assert.rejects(client.connect(), { code: "unavailable" });

  class Hangs extends peer((frame) => HEARD[JSON.parse(frame).type]) {
    constructor() {
      super();
      if (Hangs.made > 1) Object.defineProperty(this, "onopen", { get: () => undefined, set: () => {} });
      else setTimeout(() => this.onclose({ code: 1006, reason: "" }), 50);
    }
  }
  const later = new AudioDetectionClient("ws://hangs", { WebSocket: Hangs, answerMs: 100, reconnectMs: 500 });
  await later.connect();
  await new Promise((resolve) => (later.onStateChange = (state) => state === "ended" && resolve()));
  assert.ok(Hangs.made > 2);
});
