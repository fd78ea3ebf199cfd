import Foundation

/// The verdict on one window. Sequence and times go on through reconnections.
public struct DetectionResult {
    public let sequence: Int
    /// Seconds from the start of the stream.
    public let start: Double
    public let end: Double
    /// `spoof`, `bonafide` or `no_speech`.
    public let label: String
    /// P(spoof), 0 to 1, whatever the label; nil when too little of the window is speech.
    public let pSpoof: Double?
    public let speechRatio: Double
    /// The verdict so far; changes only when it has clearly crossed the threshold.
    public let runningLabel: String
    public let runningPSpoof: Double?
    /// P(spoof) by each member of an ensemble, by its name; empty for a single model, and without speech.
    public let memberScores: [String: Double]
    /// Natural logarithm of the likelihood ratio, spoof over bona fide; nil without speech or a calibration.
    public let llr: Double?
    /// Whose it is, by name, where channels are judged apart; else empty. Windows of several share a sequence and times.
    public let channel: String
}

/// The verdict on all that was said; after a reconnection, on what was said since. `json` holds all of it.
public struct Summary {
    public let label: String
    public let pSpoof: Double?
    public let audioSeconds: Double
    public let json: [String: Any]
    /// The signed record of this verdict, a compact JWS; empty where the service keeps none.
    public var evidence: String { json["evidence"] as? String ?? "" }
    /// Whose verdict this is, where channels were judged apart: the worst one's, by name; else empty.
    public var channel: String { json["channel"] as? String ?? "" }
    /// `bonafide`, `spoof` or `uncertain`; nil unless the service has a band.
    public let decision: String?
    /// Natural logarithm of the likelihood ratio, spoof over bona fide; nil without speech or a calibration.
    public let llr: Double?
    /// Bona fide by its mean, with suspicious stretches.
    public let partiallySpoofed: Bool
    /// What weakens the verdict, such as `narrow_band`.
    public let conditions: [String]
}

/// `code` is the service's own, such as `overloaded`; `requestId` finds the session in the service's log, empty when it
/// never got there.
public struct BonafideError: Error {
    public let code: String
    public let message: String
    public let requestId: String

    init(code: String, message: String, requestId: String = "") {
        self.code = code
        self.message = message
        self.requestId = requestId
    }

    /// An answer that no service of this client's time gives.
    static func nonsense(_ what: String) -> BonafideError {
        let why = "it is newer than this client, or no Bonafide service"
        return BonafideError(code: "internal", message: "the service answered with \(what): \(why)")
    }

    /// An `error` of the service.
    init(told: [String: Any]) {
        self.init(
            code: told["code"] as? String ?? "internal", message: told["message"] as? String ?? "",
            requestId: told["request_id"] as? String ?? ""
        )
    }
}

// What could turn a verdict into its opposite is refused here, before a caller takes all but `spoof` for bona fide.

extension DetectionResult {
    /// A window of a connection whose audio begins at `origin` of the stream, and whose first window has this number.
    init(_ window: [String: Any], origin: Double, firstSequence: Int) throws {
        guard let sequence = window["sequence"] as? Int, let from = window["start_time_seconds"] as? Double,
            let to = window["end_time_seconds"] as? Double, let running = window["running"] as? [String: Any]
        else { throw BonafideError.nonsense("no window") }
        let verdict = try Verdict(window)
        let sofar = try Verdict(running)
        self.init(
            sequence: firstSequence + sequence, start: origin + from, end: origin + to, label: verdict.label,
            pSpoof: verdict.pSpoof, speechRatio: window["speech_ratio"] as? Double ?? 0, runningLabel: sofar.label,
            runningPSpoof: sofar.pSpoof, memberScores: verdict.memberScores, llr: window["llr"] as? Double,
            channel: window["channel"] as? String ?? ""
        )
    }
}

extension Summary {
    /// The summary of a connection whose audio begins at `origin` of the stream.
    init(_ message: [String: Any], origin: Double) throws {
        let verdict = try Verdict(message)
        for whole in [message] + (message["channels"] as? [[String: Any]] ?? []) {
            _ = try Verdict(whole)
            for window in whole["windows"] as? [[String: Any]] ?? [] { _ = try Verdict(window) }
            for stretch in whole["suspicious"] as? [[String: Any]] ?? [] { _ = try probability(stretch["p_spoof"]) }
        }
        guard let seconds = message["audio_seconds"] as? Double else { throw BonafideError.nonsense("no duration") }
        self.init(
            label: verdict.label, pSpoof: verdict.pSpoof, audioSeconds: origin + seconds, json: message,
            decision: message["decision"] as? String, llr: message["llr"] as? Double,
            partiallySpoofed: message["partially_spoofed"] as? Bool ?? false,
            conditions: message["conditions"] as? [String] ?? []
        )
    }
}

/// What a window, a running verdict, a channel and a summary have in common.
private struct Verdict {
    let label: String
    let pSpoof: Double?
    let memberScores: [String: Double]

    init(_ told: [String: Any]) throws {
        guard let label = told["label"] as? String, ["spoof", "bonafide", "no_speech"].contains(label) else {
            throw BonafideError.nonsense("label \(told["label"] ?? "none")")
        }
        if let isSpoof = told["is_spoof"], isSpoof as? Bool != (label == "spoof") {
            throw BonafideError.nonsense("label \(label) with is_spoof \(isSpoof)")
        }
        if let decision = told["decision"], !(decision is NSNull) {
            guard let word = decision as? String, ["bonafide", "spoof", "uncertain"].contains(word) else {
                throw BonafideError.nonsense("decision \(decision)")
            }
        }
        self.label = label
        pSpoof = try told["p_spoof"] is NSNull ? nil : probability(told["p_spoof"])
        memberScores = try (told["member_scores"] as? [String: Any] ?? [:]).mapValues { try probability($0) }
    }
}

private func probability(_ told: Any?) throws -> Double {
    guard let score = told as? Double, (0...1).contains(score) else {
        throw BonafideError.nonsense("score \(told ?? "none")")
    }
    return score
}
