/** Audio as callers have it, and as it travels. */
const BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/** A copy of the samples as floats. */
export function toFloats(samples) {
    if (samples instanceof Int16Array)
        return Float32Array.from(samples, (sample) => sample / 32768);
    if (!(samples instanceof ArrayBuffer))
        return Float32Array.from(samples);
    if (samples.byteLength % 4)
        throw new RangeError(`${samples.byteLength} bytes are no whole number of float32 samples`);
    const view = new DataView(samples);
    return Float32Array.from({ length: samples.byteLength / 4 }, (_, index) => view.getFloat32(4 * index, true));
}
/** The samples of a binary frame, little-endian. */
export function toBytes(samples, encoding) {
    const width = encoding === "pcm16" ? 2 : 4;
    const view = new DataView(new ArrayBuffer(samples.length * width));
    samples.forEach((sample, index) => {
        if (width === 4)
            view.setFloat32(4 * index, sample, true);
        else
            view.setInt16(2 * index, Math.round(32767 * Math.max(-1, Math.min(1, sample))), true);
    });
    return view.buffer;
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
