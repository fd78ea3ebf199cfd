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

/// The verdict on all that was said. `json` holds all of it, with the fields of the service's `summary`, its windows and
/// stretches where they are in the stream.
public struct Summary {
    public let label: String
    public let pSpoof: Double?
    public let audioSeconds: Double
    public let json: [String: Any]
    /// The signed record of the verdict on what the last connection sent, a compact JWS; empty where the service keeps none.
    public var evidence: String { json["evidence"] as? String ?? "" }
    /// Whose verdict this is, where channels were judged apart: the worst one's, by name; else empty.
    public var channel: String { json["channel"] as? String ?? "" }
    /// `bonafide`, `spoof` or `uncertain`; nil unless the service has a band, and of a stream that was resumed.
    public let decision: String?
    /// Natural logarithm of the likelihood ratio; nil without speech or a calibration, and of a stream that was resumed.
    public let llr: Double?
    /// Bona fide by its mean, with suspicious stretches.
    public let partiallySpoofed: Bool
    /// What weakens the verdict, such as `narrow_band`; of a stream that was resumed, that on its last part.
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
    /// A window that is placed in the stream.
    init(_ window: [String: Any]) throws {
        guard let sequence = window["sequence"] as? Int, let running = window["running"] as? [String: Any] else {
            throw BonafideError.nonsense("no window")
        }
        let verdict = try Verdict(window)
        let sofar = try Verdict(running)
        self.init(
            sequence: sequence, start: try number("start_time_seconds", in: window),
            end: try number("end_time_seconds", in: window), label: verdict.label, pSpoof: verdict.pSpoof,
            speechRatio: try number("speech_ratio", in: window), runningLabel: sofar.label,
            runningPSpoof: sofar.pSpoof, memberScores: verdict.memberScores, llr: window["llr"] as? Double,
            channel: window["channel"] as? String ?? ""
        )
    }
}

extension Summary {
    /// A `summary`, all of which is understood.
    static func understood(_ message: [String: Any]) throws -> [String: Any] {
        for whole in [message] + (message["channels"] as? [[String: Any]] ?? []) {
            _ = try Verdict(whole)
            for window in try objects("windows", in: whole) { _ = try Verdict(window) }
            for stretch in try objects("suspicious", in: whole) { _ = try probability(stretch["p_spoof"]) }
        }
        return message
    }

    /// A summary that is placed in the stream, and of all of it.
    init(_ whole: [String: Any]) throws {
        let verdict = try Verdict(whole)
        self.init(
            label: verdict.label, pSpoof: verdict.pSpoof, audioSeconds: try number("audio_seconds", in: whole),
            json: whole, decision: whole["decision"] as? String, llr: whole["llr"] as? Double,
            partiallySpoofed: whole["partially_spoofed"] as? Bool ?? false,
            conditions: whole["conditions"] as? [String] ?? []
        )
    }
}

/// Where a connection's audio begins in the stream, in seconds, and which number its first window gets.
struct Origin {
    let seconds: Double
    let sequence: Int

    func window(in window: [String: Any]) throws -> [String: Any] {
        guard let own = window["sequence"] as? Int else { throw BonafideError.nonsense("no window") }
        var placed = try shifted(window)
        placed["sequence"] = sequence + own
        return placed
    }

    func summary(in summary: [String: Any]) throws -> [String: Any] {
        var whole = try moved(summary)
        whole["audio_seconds"] = seconds + (try number("audio_seconds", in: summary))
        if summary["channels"] != nil { whole["channels"] = try objects("channels", in: summary).map { try moved($0) } }
        return whole
    }

    private func moved(_ whole: [String: Any]) throws -> [String: Any] {
        var placed = whole
        placed["windows"] = try objects("windows", in: whole).map { try window(in: $0) }
        placed["suspicious"] = try objects("suspicious", in: whole).map { try shifted($0) }
        return placed
    }

    private func shifted(_ part: [String: Any]) throws -> [String: Any] {
        var placed = part
        placed["start_time_seconds"] = seconds + (try number("start_time_seconds", in: part))
        placed["end_time_seconds"] = seconds + (try number("end_time_seconds", in: part))
        return placed
    }
}

func objects(_ name: String, in told: [String: Any]) throws -> [[String: Any]] {
    guard let found = told[name] as? [[String: Any]] else { throw BonafideError.nonsense("no \(name)") }
    return found
}

func number(_ name: String, in told: [String: Any]) throws -> Double {
    guard let number = told[name] as? Double, number.isFinite else { throw BonafideError.nonsense("no \(name)") }
    return number
}

/// What a window, a running verdict, a channel and a summary have in common.
struct Verdict {
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
