import assert from "node:assert/strict";
import { test } from "node:test";

import { toBytes, toFloats, toText } from "../dist/samples.js";

const FLOATS = [0, 0.5, -0.5];
const BYTES = Uint8Array.from([0, 0, 0, 0, 0, 0, 0, 63, 0, 0, 0, 191]).buffer;

test("whatever holds the samples, they are the same", () => {
  for (const samples of [FLOATS, Float32Array.from(FLOATS), Int16Array.from([0, 16384, -16384]), BYTES]) {
    assert.deepEqual([...toFloats(samples)], FLOATS);
  }
  assert.throws(() => toFloats(new ArrayBuffer(6)), RangeError);
});

test("they travel as the service reads them", () => {
  const floats = Float32Array.from(FLOATS);
  assert.deepEqual(toBytes(floats, "float32"), BYTES);
  assert.deepEqual([...new Int16Array(toBytes(Float32Array.from([1, -1, 2, -2, 0]), "pcm16"))], [32767, -32767, 32767, -32767, 0]);
  assert.deepEqual(toText(floats, "json"), FLOATS);
});

test("base64 is that of everybody", () => {
  for (const length of [0, 1, 2, 3, 4, 50]) {
    const floats = Float32Array.from({ length }, (_, index) => Math.sin(index + 1));
    assert.equal(toText(floats, "base64"), Buffer.from(toBytes(floats, "float32")).toString("base64"));
  }
});
