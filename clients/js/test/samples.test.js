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
  assert.deepEqual([...new Int16Array(toBytes(Float32Array.from([1, -1, 2, -2, 0]), "pcm16"))], [32767, -32768, 32767, -32768, 0]);
  assert.deepEqual(toText(floats, "json"), FLOATS);
});

test("16-bit integers travel as they are", () => {
  const integers = Int16Array.from({ length: 65_536 }, (_, index) => index - 32_768);
  assert.deepEqual(new Int16Array(toBytes(toFloats(integers), "pcm16")), integers);
});

test("integers travel in the byte order of RTP too", () => {
  const view = new DataView(toBytes(Float32Array.of(0.5, -1), "l16"));
  assert.deepEqual([view.getInt16(0), view.getInt16(2)], [16384, -32768]);
});

/** What ITU-T G.711 gives for a byte, as a 16-bit integer. */
const DECODED = {
  mulaw: (byte) => {
    const code = ~byte & 0xff;
    const magnitude = (((code & 15) * 8 + 132) << ((code >> 4) & 7)) - 132;
    return (code & 128 ? -magnitude : magnitude) + 0; // no negative zero
  },
  alaw: (byte) => {
    const code = byte ^ 0x55;
    const exponent = (code >> 4) & 7;
    const magnitude = exponent ? ((code & 15) * 16 + 264) << (exponent - 1) : (code & 15) * 16 + 8;
    return code & 128 ? magnitude : -magnitude;
  },
};

for (const [encoding, decode] of Object.entries(DECODED)) {
  test(`${encoding} is as near as its steps allow`, () => {
    const bytes = Array.from({ length: 256 }, (_, byte) => byte);
    const again = toBytes(Float32Array.from(bytes, (byte) => decode(byte) / 32768), encoding);
    assert.deepEqual([...new Uint8Array(again)].map(decode), bytes.map(decode));
    for (const integer of [-32_768, 32_767, ...Array.from({ length: 9_143 }, (_, step) => 7 * step - 32_000)]) {
      const [byte] = new Uint8Array(toBytes(Float32Array.of(integer / 32768), encoding));
      assert.ok(Math.abs(decode(byte) - integer) <= Math.max(8, (Math.abs(integer) + 132) / 32), `${integer}`);
    }
  });
}

test("base64 is that of everybody", () => {
  for (const length of [0, 1, 2, 3, 4, 50]) {
    const floats = Float32Array.from({ length }, (_, index) => Math.sin(index + 1));
    assert.equal(toText(floats, "base64"), Buffer.from(toBytes(floats, "float32")).toString("base64"));
  }
});

test("bytes are those of float32, in a view too, and other integers are refused", () => {
  const floats = Float32Array.of(0.5, -0.25, 1);
  const bytes = new Uint8Array(floats.buffer, 4, 8);
  assert.deepEqual([...toFloats(bytes)], [-0.25, 1]);
  assert.deepEqual([...toFloats(Buffer.from(floats.buffer))], [0.5, -0.25, 1]);
  assert.deepEqual([...toFloats(Float64Array.of(0.5))], [0.5]);
  for (const wrong of [new Uint8Array(3), Int32Array.of(1), Uint16Array.of(1)]) {
    assert.throws(() => toFloats(wrong), RangeError);
  }
});
