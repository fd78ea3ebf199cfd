import assert from "node:assert/strict";
import { test } from "node:test";

import { AudioDetectionClient } from "../dist/client.js";

/** As browsers: what is no token of HTTP is refused, and the error tells it. */
class StrictSocket {
  constructor(url, protocols) {
    throw new SyntaxError(`The subprotocol '${protocols.at(-1)}' is invalid.`);
  }
}

test("a key that cannot travel ends the session, and is in no message", async () => {
  const told = [];
  const client = new AudioDetectionClient("ws://localhost/ws/detect", { apiKey: "s3 cret", WebSocket: StrictSocket });
  client.onError = (error) => told.push(error);
  for (const ask of [() => client.connect(), () => client.sendAudioChunk(new Float32Array(4))]) {
    await assert.rejects(ask, ({ code, message }) => code === "invalid_request" && !message.includes("s3 cret"));
  }
  assert.equal(told.length, 1);
  assert.equal(client.state, "ended");
});

function relative() {
  const client = new AudioDetectionClient("/ws/detect", { apiKey: "s3cret", WebSocket: NotedSocket });
  const connected = client.connect();
  client.disconnect();
  return connected;
}

/** Notes the address that is connected to. */
class NotedSocket {
  static urls = [];

  constructor(url) {
    NotedSocket.urls.push(url);
    this.readyState = 0;
  }

  close() {}
}

test("a key travels to this machine or encrypted, unless it may go in the clear", async () => {
  const foreign = "ws://localhost.bank.example/ws/detect";
  const others = ["ws://10.0.0.1:3000/x", "ws://127.0.0.1@bank.example/", "ws://localhost:x@bank.example/", "ws://[::1]:3000@bank.example/", "ws://127.0.0.1.bank.example/", "ws:\\\\bank.example", "bank.example"];
  for (const url of [foreign, ...others]) {
    const client = new AudioDetectionClient(url, { apiKey: "s3cret", WebSocket: NotedSocket });
    await assert.rejects(client.connect(), ({ code, message }) => {
      return code === "invalid_request" && message.includes("unencrypted") && !message.includes("s3cret");
    });
  }
  assert.deepEqual(NotedSocket.urls, []);
  const kept = [
    ["ws://localhost:3000/ws/detect", { apiKey: "s3cret" }],
    ["ws://127.0.0.1/ws/detect", { apiKey: "s3cret" }],
    ["WS://[::1]:3000/ws/detect", { apiKey: "s3cret" }],
    ["wss://bank.example/ws/detect", { apiKey: "s3cret" }],
    [foreign, { apiKey: "s3cret", keyInClear: true }],
    [foreign, {}],
  ];
  for (const [url, options] of kept) {
    const client = new AudioDetectionClient(url, { ...options, WebSocket: NotedSocket });
    client.connect().catch(() => {});
    client.disconnect();
  }
  assert.deepEqual(NotedSocket.urls, kept.map(([url]) => url));
  globalThis.document = { baseURI: "https://bank.example/app/" };
  await relative().catch(({ message }) => assert.match(message, /disconnected/));
  globalThis.document = { baseURI: "http://bank.example/app/" };
  await assert.rejects(relative(), /unencrypted/);
  delete globalThis.document;
});

/** A service that judges one of two windows. */
class HalfJudging {
  readyState = 1;

  constructor() {
    setTimeout(() => this.onopen());
  }

  send(frame) {
    const { type } = typeof frame === "string" ? JSON.parse(frame) : {};
    const verdict = { label: "bonafide", p_spoof: 0.1 };
    const window = { sequence: 1, start_time_seconds: 1, end_time_seconds: 2, speech_ratio: 1, ...verdict, running: verdict };
    const answer = {
      connect: { type: "connected" },
      config: { type: "config_updated", config: { overlap_duration: 0 } },
    }[type] ?? { type: "detection_result", windows: [window], error_message: "no verdict on the windows 0: busy" };
    setTimeout(() => this.onmessage({ data: JSON.stringify(answer) }));
  }

  close() {}
}

test("windows without a verdict beside others are told", async () => {
  const told = [];
  const client = new AudioDetectionClient("ws://localhost/ws/detect", { WebSocket: HalfJudging });
  client.onError = ({ code, message }) => told.push([code, message]);
  await client.connect();
  assert.equal((await client.sendAudioChunk(new Float32Array(32_000))).sequence, 1);
  assert.deepEqual(told, [["unavailable", "no verdict on the windows 0: busy"]]);
  client.disconnect();
});

/** A service that answers each frame with what `judge` says of it, and notes the frames. */
function answering(judge) {
  return class {
    static frames = [];
    static thrown = [];
    readyState = 1;

    constructor() {
      setTimeout(() => this.onopen());
    }

    send(frame) {
      const { type = "audio" } = typeof frame === "string" ? JSON.parse(frame) : {};
      this.constructor.frames.push(frame);
      const answer = {
        connect: { type: "connected" },
        config: { type: "config_updated", config: { overlap_duration: 0 } },
      }[type] ?? judge(this.constructor.frames.length);
      setTimeout(() => this.tell("onmessage", { data: JSON.stringify(answer) }));
    }

    /** As browsers, which tell what a handler throws to the page, and go on. */
    tell(handler, event) {
      try {
        this[handler](event);
      } catch ({ message }) {
        this.constructor.thrown.push(message);
      }
    }

    close() {}
  };
}

function detection(sequence, label) {
  const verdict = { label, p_spoof: 0.1 };
  const window = { sequence, start_time_seconds: sequence, end_time_seconds: sequence + 1, speech_ratio: 1, ...verdict, running: verdict };
  return { type: "detection_result", windows: [window], result: { sequence } };
}

test("after the end no window is told", async () => {
  const Socket = answering((place) => detection(place, place === 3 ? "synthetic" : "bonafide"));
  const client = new AudioDetectionClient("ws://localhost/ws/detect", { WebSocket: Socket });
  const told = [];
  client.onDetectionResult = ({ label }) => told.push(label);
  await client.connect();
  const asked = [1, 2, 3].map(() => client.sendAudioChunk(new Float32Array(16_000)));
  for (const { reason } of await Promise.allSettled(asked)) assert.equal(reason?.code, "internal");
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(client.state, "ended");
  assert.deepEqual(told, []);
});

test("a long chunk travels in frames that the service takes", async () => {
  for (const encoding of ["float32", "base64", "json"]) {
    const Socket = answering((place) => (place % 2 ? detection(place, "bonafide") : { type: "buffering" }));
    const client = new AudioDetectionClient("ws://localhost/ws/detect", { WebSocket: Socket, channels: 3, channelMode: "mix" });
    await client.connect();
    const samples = Float32Array.from({ length: 600_000 }, (_, place) => Math.sin(place));
    const last = await client.sendAudioChunk(samples, 48_000, encoding);
    const audio = Socket.frames.slice(2);
    const odd = Socket.frames.length - (Socket.frames.length % 2 ? 0 : 1);
    assert.equal(last.sequence, odd, "the last window that it completed");
    assert.ok(audio.every((frame) => (frame.byteLength ?? frame.length) < 2 * 1024 * 1024));
    if (encoding === "float32") {
      assert.ok(audio.every((frame) => frame.byteLength % 12 === 0));
      assert.deepEqual(audio.flatMap((frame) => [...new Float32Array(frame)]), [...samples]);
    }
    client.disconnect();
  }
});

test("what a callback throws keeps nobody waiting", async () => {
  const Socket = answering((place) => (place === 3 ? detection(place, "bonafide") : { type: "error", code: "overloaded", message: "" }));
  const client = new AudioDetectionClient("ws://localhost/ws/detect", { WebSocket: Socket });
  await client.connect();
  client.onDetectionResult = client.onError = () => {
    throw new Error("the caller's own");
  };
  assert.equal((await client.sendAudioChunk(new Float32Array(16_000))).sequence, 3);
  await assert.rejects(client.sendAudioChunk(new Float32Array(16_000)), ({ code }) => code === "overloaded");
  const waiting = client.flush();
  client.socket.tell("onclose", { code: 1000, reason: "" });
  await assert.rejects(waiting, ({ code }) => code === "unavailable");
  assert.equal(client.state, "ended");
  assert.deepEqual(Socket.thrown, Array(3).fill("the caller's own"));
});

test("promises may be left alone, but for the caller's own mistakes", async () => {
  const untaken = [];
  const note = ({ message }) => untaken.push(message);
  process.prependListener("unhandledRejection", note);
  const others = process.listeners("unhandledRejection").filter((listener) => listener !== note);
  for (const listener of others) process.off("unhandledRejection", listener); // the runner's, which fail the test
  const told = [];
  const early = new AudioDetectionClient("ws://localhost/ws/detect", { WebSocket: NotedSocket });
  early.onError = ({ message }) => told.push(message);
  early.sendAudioChunk(new Float32Array(4));
  const Socket = answering(() => ({ type: "error", code: "overloaded", message: "busy" }));
  const client = new AudioDetectionClient("ws://localhost/ws/detect", { WebSocket: Socket, mostAhead: 1 });
  client.onError = ({ message }) => told.push(message);
  await client.connect();
  client.sendAudioChunk(new Float32Array(32_000));
  client.sendAudioChunk(new Float32Array(4));
  client.flush();
  client.end();
  client.sendAudioChunk(new Uint8Array(3));
  await new Promise((resolve) => setTimeout(resolve, 20));
  client.disconnect();
  client.flush();
  const refused = new AudioDetectionClient("ws://bank.example/ws/detect", { apiKey: "s3cret", WebSocket: NotedSocket });
  refused.connect();
  await new Promise((resolve) => setTimeout(resolve, 20));
  process.off("unhandledRejection", note);
  for (const listener of others) process.on("unhandledRejection", listener);
  assert.deepEqual(untaken, ["3 bytes are no whole number of float32 samples"]);
  assert.deepEqual(told, ["not connected: call connect() first", "1 seconds of audio wait for an answer already", "busy", "busy", "busy"]);
});
