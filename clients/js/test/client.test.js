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
