/** Everything that can go wrong, with the service's own code. */

const RETRYABLE = new Set(["overloaded", "unavailable", "deadline_exceeded"]);

export class BonafideError extends Error {
  /** The error's name in the service's table, such as `overloaded`. */
  readonly code: string;
  /** Finds the session in the service's log; empty when it never got there. */
  readonly requestId: string;

  constructor(code: string, message: string, requestId = "") {
    super(message);
    this.name = "BonafideError";
    this.code = code;
    this.requestId = requestId;
  }

  /** Whether the same may well succeed later. */
  get retryable(): boolean {
    return RETRYABLE.has(this.code);
  }
}
