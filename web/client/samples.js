/** Audio as callers have it, and as it travels. */
const BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/**
 * A copy of the samples as floats.
 * @throws RangeError bytes that are no whole number of samples, or integers whose scale nobody knows
 */
export function toFloats(samples) {
    if (samples instanceof Int16Array)
        return Float32Array.from(samples, (sample) => sample / 32768);
    const isBytes = samples instanceof Uint8Array; // Node's Buffer too
    if (!isBytes && !(samples instanceof ArrayBuffer)) {
        const isFloat = samples instanceof Float32Array || samples instanceof Float64Array;
        if (ArrayBuffer.isView(samples) && !isFloat)
            throw new RangeError("floats, int16 or bytes of float32 are needed");
        return Float32Array.from(samples);
    }
    if (samples.byteLength % 4)
        throw new RangeError(`${samples.byteLength} bytes are no whole number of float32 samples`);
    const view = isBytes ? new DataView(samples.buffer, samples.byteOffset, samples.byteLength) : new DataView(samples);
    return Float32Array.from({ length: samples.byteLength / 4 }, (_, index) => view.getFloat32(4 * index, true));
}
const WIDTHS = { float32: 4, pcm16: 2, l16: 2, mulaw: 1, alaw: 1 };
/** Whether samples in this encoding travel as binary frames. */
export function isBinary(encoding) {
    return encoding in WIDTHS;
}
/** The samples of a binary frame. */
export function toBytes(samples, encoding) {
    const width = WIDTHS[encoding];
    const view = new DataView(new ArrayBuffer(samples.length * width));
    samples.forEach((sample, index) => {
        if (encoding === "float32")
            view.setFloat32(4 * index, sample, true);
        else if (width === 2)
            view.setInt16(2 * index, toInteger(sample), encoding === "pcm16");
        else
            view.setUint8(index, encoding === "mulaw" ? toMulaw(toInteger(sample)) : toAlaw(toInteger(sample)));
    });
    return view.buffer;
}
/** As the service reads them, so that 16-bit integers stay what they are. */
function toInteger(sample) {
    return Math.max(-32768, Math.min(32767, Math.round(32768 * sample)));
}
/** ITU-T G.711 mu-law: sign, three bits of exponent, four of mantissa, all inverted. */
function toMulaw(integer) {
    const magnitude = Math.min(Math.abs(integer), 32635) + 132;
    const exponent = 24 - Math.clz32(magnitude);
    return ~((integer < 0 ? 0x80 : 0) | (exponent << 4) | ((magnitude >> (exponent + 3)) & 15)) & 0xff;
}
/** ITU-T G.711 A-law: sign, three bits of exponent, four of mantissa, every other bit inverted. */
function toAlaw(integer) {
    const magnitude = Math.min(Math.abs(integer), 32767);
    const exponent = Math.max(0, 24 - Math.clz32(magnitude));
    const mantissa = (magnitude >> Math.max(4, exponent + 3)) & 15;
    return ((integer < 0 ? 0 : 0x80) | (exponent << 4) | mantissa) ^ 0x55;
}
/** The samples in a text frame. */
export function toText(samples, encoding) {
    return encoding === "json" ? Array.from(samples) : base64(new Uint8Array(toBytes(samples, "float32")));
}
/** React Native's engines have had no `btoa` for long. */
function base64(bytes) {
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
