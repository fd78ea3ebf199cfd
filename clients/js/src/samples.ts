/** Audio as callers have it, and as it travels. */

/** Mono samples: floats from -1 to 1, 16-bit integers, or the bytes of little-endian float32. */
export type Samples = Float32Array | Float64Array | Int16Array | ArrayBuffer | Uint8Array | readonly number[];

/** What travels as binary frames: `l16` is `pcm16` in RTP's byte order, `mulaw` and `alaw` are G.711, a byte a sample. */
export type BinaryEncoding = "float32" | "pcm16" | "l16" | "mulaw" | "alaw";

/** `base64` and `json` travel as text, as the first clients did it. */
export type Encoding = BinaryEncoding | "base64" | "json";

const BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/**
 * A copy of the samples as floats.
 * @throws RangeError bytes that are no whole number of samples, or integers whose scale nobody knows
 */
export function toFloats(samples: Samples): Float32Array {
  if (samples instanceof Int16Array) return Float32Array.from(samples, (sample) => sample / 32768);
  const isBytes = samples instanceof Uint8Array; // Node's Buffer too
  if (!isBytes && !(samples instanceof ArrayBuffer)) {
    const isFloat = samples instanceof Float32Array || samples instanceof Float64Array;
    if (ArrayBuffer.isView(samples) && !isFloat) throw new RangeError("floats, int16 or bytes of float32 are needed");
    return Float32Array.from(samples);
  }
  if (samples.byteLength % 4) throw new RangeError(`${samples.byteLength} bytes are no whole number of float32 samples`);
  const view = isBytes ? new DataView(samples.buffer, samples.byteOffset, samples.byteLength) : new DataView(samples);
  return Float32Array.from({ length: samples.byteLength / 4 }, (_, index) => view.getFloat32(4 * index, true));
}

const WIDTHS: Record<BinaryEncoding, number> = { float32: 4, pcm16: 2, l16: 2, mulaw: 1, alaw: 1 };

/** Whether samples in this encoding travel as binary frames. */
export function isBinary(encoding: Encoding): encoding is BinaryEncoding {
  return encoding in WIDTHS;
}

/** The samples of a binary frame. */
export function toBytes(samples: Float32Array, encoding: BinaryEncoding): ArrayBuffer {
  const width = WIDTHS[encoding];
  const view = new DataView(new ArrayBuffer(samples.length * width));
  samples.forEach((sample, index) => {
    if (encoding === "float32") view.setFloat32(4 * index, sample, true);
    else if (width === 2) view.setInt16(2 * index, toInteger(sample), encoding === "pcm16");
    else view.setUint8(index, encoding === "mulaw" ? toMulaw(toInteger(sample)) : toAlaw(toInteger(sample)));
  });
  return view.buffer;
}

/** As the service reads them, so that 16-bit integers stay what they are. */
function toInteger(sample: number): number {
  return Math.max(-32768, Math.min(32767, Math.round(32768 * sample)));
}

/** ITU-T G.711 mu-law: sign, three bits of exponent, four of mantissa, all inverted. */
function toMulaw(integer: number): number {
  const magnitude = Math.min(Math.abs(integer), 32635) + 132;
  const exponent = 24 - Math.clz32(magnitude);
  return ~((integer < 0 ? 0x80 : 0) | (exponent << 4) | ((magnitude >> (exponent + 3)) & 15)) & 0xff;
}

/** ITU-T G.711 A-law: sign, three bits of exponent, four of mantissa, every other bit inverted. */
function toAlaw(integer: number): number {
  const magnitude = Math.min(Math.abs(integer), 32767);
  const exponent = Math.max(0, 24 - Math.clz32(magnitude));
  const mantissa = (magnitude >> Math.max(4, exponent + 3)) & 15;
  return ((integer < 0 ? 0 : 0x80) | (exponent << 4) | mantissa) ^ 0x55;
}

/** The samples in a text frame. */
export function toText(samples: Float32Array, encoding: "base64" | "json"): string | number[] {
  return encoding === "json" ? Array.from(samples) : base64(new Uint8Array(toBytes(samples, "float32")));
}

/** React Native's engines have had no `btoa` for long. */
function base64(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 3) {
    const [first = 0, second = 0, third = 0] = bytes.subarray(at, at + 3);
    const bits = (first << 16) | (second << 8) | third;
    for (let place = 0; place < 4; place++) {
      text += at + place <= bytes.length ? BASE64[(bits >> (18 - 6 * place)) & 63] : "=";
    }
  }
  return text;
}
