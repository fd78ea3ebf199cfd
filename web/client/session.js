/**
 * A live session without I/O: what to send, what an answer means, and how it goes on over a new connection.
 *
 * Each frame is answered by one, in order. So the frames without an answer are a queue, and an answer belongs to its
 * head. Audio that has been answered but not judged yet is kept: after a broken connection it is sent again before
 * what was never answered, and windows are numbered on. Nothing is lost, and nothing is scored twice.
 */
import { BonafideError } from "./errors.js";
import { isBinary, toBytes, toText } from "./samples.js";
import { summaryAfter } from "./summary.js";
import { checkDetection, checkSummary } from "./verdicts.js";
const KEPT_SECONDS = 30;
/** With these a frame is refused before anything of it is buffered. */
const NOT_HEARD = new Set(["invalid_request", "too_large", "unreadable_media"]);
const FITTING = {
    connect: ["connected"],
    config: ["config_updated"],
    audio: ["buffering", "detection_result"],
    flush: ["buffering", "detection_result"],
    end: ["summary"],
};
const ANSWERS = new Set(["error", ...Object.values(FITTING).flat()]);
export class LiveSession {
    clientId;
    windowing;
    unanswered = [];
    unjudged = [];
    /** The configuration that this connection has been told. */
    told = "";
    overlap = 0;
    windows = [];
    /** The number that this connection's first window gets, and where its audio begins in the stream. */
    firstSequence = 0;
    start = 0;
    /** Where the next window begins. */
    next = 0;
    constructor(clientId, windowing) {
        this.clientId = clientId;
        this.windowing = windowing;
    }
    /** Seconds of audio that were sent, or wait to be sent, without an answer yet. */
    get unansweredSeconds() {
        return this.unanswered.reduce((total, { audio }) => total + (audio ? seconds(audio) : 0), 0);
    }
    get waiting() {
        return this.unanswered;
    }
    /** A connection stands: the frames that begin it, or continue after the one that broke. */
    opened() {
        const again = this.unjudged.map((audio) => ({ kind: "audio", audio }));
        const waiting = this.unanswered.filter(({ kind }) => kind !== "connect" && kind !== "config");
        this.unjudged = [];
        this.unanswered = [];
        this.told = "";
        this.firstSequence = (this.windows.at(-1)?.sequence ?? -1) + 1;
        this.start = this.next;
        return [{ kind: "connect" }, ...again, ...waiting].flatMap((request) => this.ask(request));
    }
    /** The frames of a request, whose answer is awaited from now on. Unconnected, they may be thrown away. */
    ask(request) {
        const wanted = request.audio ? this.configuration(request.audio) : this.told;
        const frames = [];
        if (wanted !== this.told) {
            this.told = wanted;
            this.unanswered.push({ kind: "config" });
            frames.push(wanted);
        }
        this.unanswered.push(request);
        frames.push(this.frame(request));
        return frames;
    }
    configuration({ rate, encoding }) {
        // Text holds float32, whatever this connection has been told of binary frames before.
        const isOfSeveral = (this.windowing.channels ?? 1) > 1; // whose rate must be told
        const format = isBinary(encoding)
            ? { encoding, sample_rate: rate }
            : (isOfSeveral || this.told.includes("encoding")) && { encoding: "float32", ...(isOfSeveral && { sample_rate: rate }) };
        const config = { type: "config", ...this.windowing, ...format };
        return Object.keys(config).length > 1 ? JSON.stringify(config) : this.told;
    }
    frame({ kind, audio }) {
        if (!audio)
            return JSON.stringify(kind === "connect" ? { type: kind, client_id: this.clientId } : { type: kind });
        const { samples, rate, encoding } = audio;
        if (isBinary(encoding))
            return toBytes(samples, encoding);
        return JSON.stringify({
            type: "audio_chunk",
            client_id: this.clientId,
            audio_data: toText(samples, encoding),
            sample_rate: rate,
            encoding,
            timestamp: Date.now() / 1000,
        });
    }
    /**
     * What the service sent; null for a kind of message that is newer than this client.
     * @throws BonafideError no answer that a Bonafide service gives
     */
    received(text) {
        const message = JSON.parse(text);
        if (!ANSWERS.has(message.type))
            return null;
        const request = this.unanswered[0]; // until its answer is understood: whoever asked is told of an error, too
        if (!request && message.type === "error")
            throw told(message); // why the service is about to close
        if (!request)
            throw new BonafideError("internal", `the service sent ${message.type}, and nothing was asked`);
        if (message.type !== "error" && !FITTING[request.kind].includes(message.type)) {
            throw new BonafideError("internal", `the service answered ${request.kind} with ${message.type}`);
        }
        const answer = message.type === "error" ? this.refused(request, message) : this.accepted(request, message);
        this.unanswered.shift();
        return answer;
    }
    refused(request, message) {
        const error = told(message);
        if (request.kind === "connect" || request.kind === "config")
            throw error;
        if (request.audio && !NOT_HEARD.has(error.code))
            this.keep(request.audio);
        return { request, error };
    }
    accepted(request, message) {
        if (request.audio)
            this.keep(request.audio);
        switch (message.type) {
            case "connected":
                return { request, connected: message };
            case "config_updated":
                this.overlap = message.config.overlap_duration;
                return { request };
            case "detection_result":
                return { request, detection: this.judged(request, message) };
            case "summary":
                return { request, summary: this.summed(message) };
            default:
                return { request };
        }
    }
    judged(request, message) {
        checkDetection(message);
        const windows = message.windows.map((window) => this.placed(window));
        const last = windows.at(-1);
        if (!last)
            throw new BonafideError("internal", "the service sent a result without a window");
        this.windows.push(...windows);
        this.forgetUntil(last.end_time_seconds - (request.kind === "flush" ? 0 : this.overlap));
        const shown = message.windows.findIndex(({ sequence, channel }) => {
            return sequence === message.result?.sequence && channel === message.result.channel;
        });
        return { ...message, windows, result: windows[shown] ?? last };
    }
    summed(message) {
        checkSummary(message);
        const earlier = this.windows.filter(({ sequence }) => sequence < this.firstSequence);
        return summaryAfter(earlier, {
            ...message,
            audio_seconds: this.start + message.audio_seconds,
            ...this.moved(message),
            ...(message.channels && { channels: message.channels.map((channel) => ({ ...channel, ...this.moved(channel) })) }),
        });
    }
    moved({ windows, suspicious }) {
        return {
            windows: windows.map((window) => this.placed(window)),
            suspicious: suspicious.map((stretch) => this.shifted(stretch)),
        };
    }
    placed(window) {
        return { ...this.shifted(window), sequence: this.firstSequence + window.sequence };
    }
    shifted(part) {
        return {
            ...part,
            start_time_seconds: this.start + part.start_time_seconds,
            end_time_seconds: this.start + part.end_time_seconds,
        };
    }
    keep(audio) {
        this.unjudged.push(audio);
        const tooMuch = this.unjudged.reduce((total, chunk) => total + seconds(chunk), 0) - KEPT_SECONDS;
        if (tooMuch > 0)
            this.forgetUntil(this.next + tooMuch); // the service has judged nothing for a while, and said so
    }
    /** Drops the audio that no later window needs. */
    forgetUntil(start) {
        let spare = start - this.next;
        this.next = start;
        while (spare > 0) {
            const first = this.unjudged.shift();
            if (!first)
                return;
            const rest = first.samples.subarray(Math.round(spare * first.rate) * (first.channels ?? 1));
            spare -= seconds(first);
            if (rest.length) {
                this.unjudged.unshift({ ...first, samples: rest });
                return;
            }
        }
    }
}
function told({ code, message, request_id }) {
    return new BonafideError(code, message, request_id);
}
function seconds({ samples, rate, channels = 1 }) {
    return samples.length / channels / rate;
}
