/** What travels over `/ws/detect`; the service's docs/websocket.md tells it field by field. */

/** The score compared with both ends of the band; between them it is uncertain. */
export type Decision = "bonafide" | "spoof" | "uncertain";

export type VoiceLabel = "spoof" | "bonafide" | "no_speech";

export interface Model {
  name: string;
  /** Changes with the weights, the configuration or the label mapping. */
  version: string;
  /** True for the small bundled models, whose verdicts are for demonstration only. */
  demo: boolean;
}

/** One window of a stream. Sequence and times go on through reconnections. */
export interface JudgedWindow {
  sequence: number;
  /** From the start of the stream. */
  start_time_seconds: number;
  end_time_seconds: number;
  label: VoiceLabel;
  /** P(spoof), 0..1, whatever the label; null when too little of the window is speech. */
  p_spoof: number | null;
  /** Share of the window in which somebody speaks. */
  speech_ratio: number;
  /** P(spoof) by each member of an ensemble, by its name; absent for a single model. */
  member_scores?: Record<string, number>;
  /** Natural logarithm of the likelihood ratio, spoof over bona fide; absent without speech or a calibration. */
  llr?: number;
  /** Whose it is, by name, where channels are judged apart. Windows of several channels share a sequence and times. */
  channel?: string;
}

/** The verdict on one window. */
export interface DetectionResult extends JudgedWindow {
  /** The probability of `label`, not of spoof: see `p_spoof`. 0 without speech. */
  score: number;
  is_spoof: boolean;
  all_scores: { spoof: number; bonafide: number };
  logits: number[];
  /** The verdict so far, smoothed; `label` changes only when it has clearly crossed the threshold. */
  running: { label: VoiceLabel; p_spoof: number | null };
}

export interface Connected {
  type: "connected";
  client_id: string;
  request_id: string;
  model: Model;
  timestamp: number;
}

export interface DetectionMessage {
  type: "detection_result";
  client_id: string;
  /** The last of `windows`; of several channels, of the worst. */
  result: DetectionResult;
  windows: DetectionResult[];
  threshold: number;
  model: Model;
  processing_time_ms: number;
  error_message: string;
  timestamp: number;
}

export interface Buffering {
  type: "buffering";
  buffer_duration: number;
}

export interface ConfigUpdated {
  type: "config_updated";
  config: { overlap_duration: number };
}

/** The verdict on all that was said. */
export interface Summary {
  type: "summary";
  label: VoiceLabel;
  is_spoof: boolean;
  /** P(spoof): the mean of the windows, weighted by their seconds of speech; null when nobody spoke. */
  p_spoof: number | null;
  threshold: number;
  audio_seconds: number;
  judged_seconds: number;
  speech_seconds: number;
  windows: JudgedWindow[];
  /** Where neighbouring windows are labelled spoof. */
  suspicious: Stretch[];
  reason: string;
  model: Model;
  calibrated: boolean;
  request_id: string;
  /** What is odd about the audio; absent from older services. */
  warnings?: string[];
  /** P(spoof) by each member of an ensemble, by its name, taken together as `p_spoof` is; absent for a single model. */
  member_scores?: Record<string, number>;
  /** The signed record of the verdict on what this connection sent, a compact JWS; absent where the service keeps none. */
  evidence?: string;
  /** Absent unless the service has a band, and for a stream that was resumed. */
  decision?: Decision;
  /** As of a window; absent for a stream that was resumed, too. */
  llr?: number;
  /** Bona fide by its mean, with suspicious stretches; absent from older services. */
  partially_spoofed?: boolean;
  /** What weakens the verdict, such as `narrow_band`; of a stream that was resumed, that on its last part. */
  conditions?: string[];
  /** Whose verdict this is, of `channels` that with the highest `p_spoof`; absent where all were judged as one. */
  channel?: string;
  /** Of channels that were judged apart; absent where all were judged as one. */
  channels?: ChannelVerdict[];
}

/** The verdict on one channel; fields as in `Summary`. */
export interface ChannelVerdict {
  /** From 0. */
  number: number;
  /** As the service is set to name it, else its number. */
  name: string;
  label: VoiceLabel;
  is_spoof: boolean;
  p_spoof: number | null;
  speech_seconds: number;
  windows: JudgedWindow[];
  suspicious: Stretch[];
  member_scores?: Record<string, number>;
  decision?: Decision;
  llr?: number;
  partially_spoofed?: boolean;
  conditions?: string[];
}

export interface Stretch {
  start_time_seconds: number;
  end_time_seconds: number;
  p_spoof: number;
}

export interface ErrorMessage {
  type: "error";
  message: string;
  code: string;
  request_id?: string;
}

export type ServerMessage =
  | Connected
  | DetectionMessage
  | Buffering
  | ConfigUpdated
  | Summary
  | ErrorMessage;
