export { AudioDetectionClient, type Options, type SocketLike, type State } from "./client.js";
export { BonafideError } from "./errors.js";
export type {
  ChannelVerdict,
  Connected,
  DetectionMessage,
  DetectionResult,
  JudgedWindow,
  Model,
  Stretch,
  Summary,
  VoiceLabel,
} from "./messages.js";
export type { Encoding, Samples } from "./samples.js";
