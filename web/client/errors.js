/** Everything that can go wrong, with the service's own code. */
const RETRYABLE = new Set(["overloaded", "unavailable", "deadline_exceeded"]);
export class BonafideError extends Error {
    /** The error's name in the service's table, such as `overloaded`. */
    code;
    /** Finds the session in the service's log; empty when it never got there. */
    requestId;
    constructor(code, message, requestId = "") {
        super(message);
        this.name = "BonafideError";
        this.code = code;
        this.requestId = requestId;
    }
    /** Whether the same may well succeed later. */
    get retryable() {
        return RETRYABLE.has(this.code);
    }
}
