export { AudioDetectionClient } from "./client.js";
export { BonafideError } from "./errors.js";
