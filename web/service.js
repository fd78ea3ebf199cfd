/** The service's HTTP routes; an error is thrown as `ServiceError` with the service's own code and words. */

export class ServiceError extends Error {
  /**
   * @param {string} code
   * @param {string} message
   * @param {string} requestId
   */
  constructor(code, message, requestId = "") {
    super(message);
    this.code = code;
    this.requestId = requestId;
  }
}

/** Where the service is, beside this page: it may stand behind a proxy's path. */
export const BASE = new URL("..", document.baseURI);

let key = "";

/**
 * Sends a key with everything from now on; it is kept in this page's memory only.
 * @param {string} secret
 */
export function useKey(secret) {
  key = secret;
}

/** The live channel: its address, and what a client of it has to know. */
export const live = {
  get url() {
    const url = new URL("ws/detect", BASE);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    return url.href;
  },
  // Two seconds: one tells the model little, four are long to wait for.
  // What is said while the connection is away is kept for longer than it is looked for (a minute, and a last attempt): what
  // was refused would be missing in the stream, and all windows after it be drawn too early.
  // Where nothing encrypts the way the page has asked before it took the key.
  options: () => ({ chunkDuration: 2, mostAhead: 100, ...(key && { apiKey: key, keyInClear: true }) }),
};

/**
 * @param {Blob} recording
 * @param {AbortSignal} signal
 */
export const detectAudio = (recording, signal) => ask("detect_audio", { method: "POST", body: recording, signal });

/**
 * @param {Blob} photo
 * @param {AbortSignal} signal
 */
export const predictLiveness = (photo, signal) => ask("predict_liveness", { method: "POST", body: photo, signal });

/** The models that answer, and what is known of them. */
export const modelStatus = () => ask("model_status", { signal: AbortSignal.timeout(10_000) });

/**
 * @param {string} route
 * @param {RequestInit} request
 * @returns {Promise<any>}
 */
async function ask(route, request) {
  let answer, document;
  // A browser names a file's type by its ending, whatever is in it.
  const headers = new Headers(request.body ? { "content-type": "application/octet-stream" } : {});
  try {
    if (key) headers.set("authorization", `Bearer ${key}`);
  } catch {
    throw new ServiceError("unauthenticated", "The key holds a character that no key has.");
  }
  try {
    answer = await fetch(new URL(route, BASE), { ...request, headers });
    document = await answer.json();
  } catch (error) {
    if (request.signal?.aborted) throw error;
    throw new ServiceError("unavailable", "No answer came back.");
  }
  if (!answer.ok) {
    const { code = "internal", message = answer.statusText, request_id = "" } = document.error ?? {};
    throw new ServiceError(code, message, request_id);
  }
  return document;
}
