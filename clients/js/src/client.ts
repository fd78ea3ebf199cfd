/** The live client: a stream of audio in, verdicts out, over as many connections as the network makes necessary. */

import { BonafideError } from "./errors.js";
import type { Connected, DetectionMessage, DetectionResult, Summary } from "./messages.js";
import { toFloats, type Encoding, type Samples } from "./samples.js";
import { LiveSession, type Answer, type Frame, type Request, type Windowing } from "./session.js";

/**
 * What is needed of a WebSocket; browsers, React Native and Node (from 22 on) have one. Each has a type of its own for
 * the events that its handlers get: `never` lets all of them be given.
 */
export interface SocketLike {
  readonly readyState: number;
  binaryType: string;
  onopen: ((event: never) => void) | null;
  onmessage: ((event: never) => void) | null;
  onclose: ((event: never) => void) | null;
  onerror: ((event: never) => void) | null;
  send(data: Frame): void;
  close(code?: number): void;
}

export interface Options {
  /** What this client calls itself in the service's log. */
  clientId?: string;
  /** Sent as a subprotocol, since a browser cannot set headers. */
  apiKey?: string;
  /** Sends the key over `ws:` to another machine too, where something else encrypts the way. Default false. */
  keyInClear?: boolean;
  /** Seconds of a window, 0.25 to 4; shorter ones answer sooner and know less. */
  chunkDuration?: number;
  /** Seconds that neighbouring windows share. */
  overlapDuration?: number;
  /** That are interleaved in the samples; default 1. */
  channels?: number;
  /** Which channels are judged: `auto` (those of a call apart), `mix`, `separate`, or the number of one. */
  channelMode?: string | number;
  /** How long a lost service is looked for, in milliseconds; default a minute. */
  reconnectMs?: number;
  /** How long an answer, that to the handshake too, may take before the connection counts as broken; default 30 s. */
  answerMs?: number;
  /** Most seconds of audio without an answer; more is refused as `overloaded`. Default 30. */
  mostAhead?: number;
  /** Instead of the global one. */
  WebSocket?: new (url: string, protocols?: string[]) => SocketLike;
}

export type State = "idle" | "connecting" | "connected" | "reconnecting" | "ended";

const OPEN = 1;
const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 5_000;
/** As text in JSON they are less than the 2 MiB that the service takes in one message. */
const FRAME_SAMPLES = 65_536;
/** Closures after which the same would only happen again. */
const FINAL: Record<number, string> = {
  1000: "unavailable",
  1002: "internal",
  1003: "invalid_request",
  1007: "invalid_request",
  1008: "unavailable",
  1009: "too_large",
};

/** Addresses of this machine, and encrypted ones; the text is read since the `URL` of React Native knows no host. */
const PRIVATE = /^(?:(?:wss|https):|(?:ws|http):\/\/(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d*)?(?:[/?#]|$))/i;

/** A browser's page may name an address beside its own. */
function isPrivate(url: string): boolean {
  const { document } = globalThis as { document?: { baseURI: string } };
  return PRIVATE.test(document && !/^[a-z]+:/i.test(url) ? new URL(url, document.baseURI).href : url);
}

/** Judges speech while it is spoken. One client is one stream. */
export class AudioDetectionClient {
  /** Called with each judged window, in order. */
  onDetectionResult: (result: DetectionResult, message: DetectionMessage) => void = () => {};
  /** Called with each error, also with those that a promise tells, and with windows that have no verdict beside others. */
  onError: (error: BonafideError) => void = () => {};
  onStateChange: (state: State) => void = () => {};

  private readonly session: LiveSession;
  private socket: SocketLike | null = null;
  private current: State = "idle";
  private connection: Promise<Connected> | null = null;
  private greeted: ((answer: Connected) => void) | null = null;
  private refused: ((error: BonafideError) => void) | null = null;
  private ended: BonafideError | null = null;
  private lostAt = 0;
  private waitMs = FIRST_WAIT_MS;
  private retry: ReturnType<typeof setTimeout> | undefined;
  private watch: ReturnType<typeof setTimeout> | undefined;

  constructor(
    readonly url: string,
    private readonly options: Options = {},
  ) {
    const windowing: Windowing = {};
    if (options.chunkDuration !== undefined) windowing.chunk_duration = options.chunkDuration;
    if (options.overlapDuration !== undefined) windowing.overlap_duration = options.overlapDuration;
    if (options.channels !== undefined) windowing.channels = options.channels;
    if (options.channelMode !== undefined) windowing.channel_mode = String(options.channelMode);
    this.session = new LiveSession(options.clientId ?? `js-${Math.random().toString(36).slice(2, 12)}`, windowing);
  }

  get state(): State {
    return this.current;
  }

  /** Connects, and answers which model listens. Fails at once when the service is not there, or refuses. */
  connect(): Promise<Connected> {
    this.connection ??= new Promise((resolve, reject) => {
      if (this.ended) return reject(this.ended);
      this.greeted = resolve;
      this.refused = reject;
      this.become("connecting");
      this.open();
    });
    return mayBeLeft(this.connection);
  }

  /**
   * Sends some audio; answers the last window that it completed, or null when it completed none.
   * @param buffer mono samples; with `channels`, interleaved
   * @param rate samples per second, 8,000 to 192,000
   * @param encoding how they travel
   */
  sendAudioChunk(buffer: Samples, rate = 16_000, encoding: Encoding = "float32"): Promise<DetectionResult | null> {
    const { channels = 1 } = this.options;
    let samples;
    try {
      samples = toFloats(buffer);
      if (samples.length % channels) throw new RangeError(`${samples.length} samples are no whole number for each channel`);
    } catch (error) {
      return Promise.reject(error); // the caller's mistake, which `onError` does not tell
    }
    return mayBeLeft(this.judged(samples, rate, encoding, channels));
  }

  /** Judges what the service holds although it is less than a window; null when it is too short. */
  flush(): Promise<DetectionResult | null> {
    return mayBeLeft(this.ask({ kind: "flush" }).then(({ detection }) => detection?.result ?? null));
  }

  /** Judges the rest, ends the session, and answers the verdict on all of it. */
  end(): Promise<Summary> {
    // The session lets no other answer through.
    return mayBeLeft(this.ask({ kind: "end" }).then(({ summary }) => summary as Summary));
  }

  /** Closes the connection; what waits for an answer fails. `end` asks for the summary first. */
  disconnect(): void {
    this.finish(new BonafideError("unavailable", "the client has disconnected"), false);
  }

  private async judged(samples: Float32Array, rate: number, encoding: Encoding, channels: number): Promise<DetectionResult | null> {
    const most = this.options.mostAhead ?? 30;
    if (this.session.unansweredSeconds > most) {
      throw this.told(new BonafideError("overloaded", `${most} seconds of audio wait for an answer already`));
    }
    const whole = FRAME_SAMPLES - (FRAME_SAMPLES % channels);
    const answers = [];
    for (let at = 0; at === 0 || at < samples.length; at += whole) {
      const audio = { samples: samples.subarray(at, at + whole), rate, encoding, channels };
      answers.push(this.ask({ kind: "audio", audio }));
    }
    const results = (await Promise.all(answers)).flatMap(({ detection }) => detection?.result ?? []);
    return results.at(-1) ?? null;
  }

  private ask(request: Request): Promise<Answer> {
    return mayBeLeft(
      new Promise<Answer>((settle, fail) => {
        if (this.ended) return fail(this.ended);
        if (!this.connection) return fail(this.told(new BonafideError("unavailable", "not connected: call connect() first")));
        this.send(this.session.ask({ ...request, settle, fail }));
      }),
    );
  }

  private send(frames: readonly Frame[]): void {
    if (this.socket?.readyState !== OPEN) return; // what is unanswered is sent when the connection stands
    for (const frame of frames) this.socket.send(frame);
    this.expect();
  }

  /** Watches for an answer, if one is awaited. */
  private expect(): void {
    if (this.session.waiting.length) this.startWatch();
  }

  private startWatch(): void {
    this.watch ??= setTimeout(() => this.drop("no answer came for long"), this.options.answerMs ?? 30_000);
  }

  private stopWatch(): void {
    clearTimeout(this.watch);
    this.watch = undefined;
  }

  private open(): void {
    const Socket = this.options.WebSocket ?? (globalThis as { WebSocket?: Options["WebSocket"] }).WebSocket;
    if (!Socket) {
      return this.finish(new BonafideError("invalid_request", "no WebSocket here: give one in the options"), true);
    }
    const { apiKey, keyInClear } = this.options;
    if (apiKey && !keyInClear && !isPrivate(this.url)) {
      const why = "the API key would travel unencrypted; use wss:, or the option keyInClear where something else encrypts the way";
      return this.finish(new BonafideError("invalid_request", `${this.url}: ${why}`), true);
    }
    let socket;
    try {
      socket = apiKey ? new Socket(this.url, ["bonafide", `bonafide.key.${apiKey}`]) : new Socket(this.url);
    } catch {
      // What was thrown is not told: it quotes the key.
      const why = "no address of a WebSocket, or the API key holds a character that cannot travel in a header";
      return this.finish(new BonafideError("invalid_request", `${this.url}: ${why}`), true);
    }
    this.socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      this.stopWatch();
      this.send(this.session.opened());
    };
    socket.onmessage = ({ data }: { data: unknown }) => this.take(String(data));
    socket.onclose = ({ code, reason }: { code: number; reason: string }) => this.lost(code, reason);
    socket.onerror = () => this.drop(""); // Node 20 says no more when it cannot connect
    this.startWatch(); // a server may take the connection and never answer the handshake
  }

  private take(text: string): void {
    if (this.ended) return; // what was on its way
    let answer;
    try {
      answer = this.session.received(text);
    } catch (error) {
      const told = error instanceof BonafideError ? error : new BonafideError("internal", "the service sent no JSON");
      return this.finish(told, true);
    }
    if (!answer) return;
    this.stopWatch();
    this.expect();
    // Not once `connected`: the audio may be what breaks each connection.
    if (answer.detection || !this.session.waiting.length) {
      this.waitMs = FIRST_WAIT_MS;
      this.lostAt = 0;
    }
    this.deliver(answer);
  }

  private deliver({ request, connected, detection, summary, error }: Answer): void {
    // Settled first: what a callback throws keeps nobody waiting.
    if (connected) this.greeted?.(connected);
    if (error) request.fail?.(error);
    else request.settle?.({ request, ...(detection && { detection }), ...(summary && { summary }) });
    if (connected) this.become("connected");
    for (const window of detection?.windows ?? []) {
      this.onDetectionResult(window, detection as DetectionMessage);
    }
    if (detection?.error_message) this.told(new BonafideError("unavailable", detection.error_message));
    if (error) this.told(error);
    if (summary) this.finish(new BonafideError("unavailable", "the session has ended"), false);
  }

  /** Gives the connection up, whatever may still come over it. */
  private drop(reason: string): void {
    const socket = this.socket;
    if (!socket) return;
    socket.onopen = socket.onclose = socket.onmessage = null;
    socket.onerror = () => {}; // `ws` throws what nobody takes, and closing a handshake is an error to it
    socket.close();
    this.lost(1006, reason);
  }

  private lost(code: number, reason: string): void {
    this.stopWatch();
    this.socket = null;
    if (this.ended) return;
    this.lostAt ||= Date.now();
    const final = FINAL[code];
    const given = Date.now() - this.lostAt > (this.options.reconnectMs ?? 60_000);
    if (final || given || this.current === "connecting") {
      const why = reason || (this.current === "connecting" ? "no connection" : `closed with code ${code}`);
      return this.finish(new BonafideError(final ?? "unavailable", `${this.url}: ${why}`), true);
    }
    this.become("reconnecting");
    // Clients of a service that restarts do not all come back in the same moment.
    this.retry = setTimeout(() => this.open(), this.waitMs * (0.5 + Math.random() / 2));
    this.waitMs = Math.min(2 * this.waitMs, LONGEST_WAIT_MS);
  }

  /** Ends everything that waits; the first reason counts. */
  private finish(reason: BonafideError, failed: boolean): void {
    if (this.ended) return;
    this.ended = reason;
    clearTimeout(this.retry);
    this.stopWatch();
    this.refused?.(reason);
    for (const request of this.session.waiting) request.fail?.(reason);
    this.socket?.close(1000);
    try {
      if (failed) this.told(reason);
    } finally {
      this.become("ended");
    }
  }

  private told(error: BonafideError): BonafideError {
    this.onError(error);
    return error;
  }

  private become(state: State): void {
    if (state === this.current) return;
    this.current = state;
    this.onStateChange(state);
  }
}

/** A promise that nobody has to await: `onError` tells why it fails too, and what nobody takes would end Node's process. */
function mayBeLeft<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
}
