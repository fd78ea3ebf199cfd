import Foundation
import Starscream

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

/// `code` is the service's own, such as `overloaded`.
public struct BonafideError: Error {
    public let code: String
    public let message: String
}

/// Judges speech while it is spoken: audio in, windows out to `onDetectionResult`. One client is one stream.
///
/// A connection that breaks is opened again with growing pauses. Audio whose window has not come yet is kept, and sent
/// again; windows are numbered on. Call it, and be called, on `queue`.
public final class AudioDetectionClient: WebSocketDelegate {
    public var onDetectionResult: (DetectionResult) -> Void = { _ in }
    public var onSummary: (Summary) -> Void = { _ in }
    /// A moment that was not judged, or, with `lost`, the end of the session.
    public var onError: (_ error: BonafideError, _ lost: Bool) -> Void = { _, _ in }

    private static let firstPause = 0.25
    private static let longestPause = 5.0
    private static let keptSeconds = 30
    private static let frameSamples = 65_536
    /// Exactly one of them for each frame.
    private static let answers: Set<String> = [
        "connected", "config_updated", "buffering", "detection_result", "summary", "error",
    ]
    /// With these a frame is refused before anything of it is buffered.
    private static let notHeard: Set<String> = ["invalid_request", "too_large", "unreadable_media"]
    /// Closures after which the same would only happen again.
    private static let finalClosures: Set<UInt16> = [1000, 1002, 1003, 1007, 1008, 1009]

    private let url: URL
    private let apiKey: String?
    private let clientId: String
    private let chunkDuration: Double
    private let reconnectSeconds: Double
    private let queue: DispatchQueue
    private let channels: Int
    private let channelMode: String
    private var socket: WebSocket?
    private var sampleRate = 0
    private var isOpen = false
    private var isEnding = false
    private var isOver = false
    private var lostAt: Date?
    private var pause = AudioDetectionClient.firstPause

    /// Audio from where the next window begins, and where that is in the stream.
    private var unjudged: [Float] = []
    private var next = 0.0
    /// The frames that await their answer, which come in order: how many samples each holds, 0 for text.
    private var unanswered: [Int] = []
    /// What this connection counts from.
    private var start = 0.0
    private var firstSequence = 0
    private var nextSequence = 0

    /// - Parameters:
    ///   - chunkDuration: seconds of a window, 0.25 to 4; shorter ones answer sooner and know less
    ///   - reconnectSeconds: how long a lost service is looked for
    ///   - channels: that are interleaved in the samples
    ///   - channelMode: which are judged: `auto` (those of a call apart), `mix`, `separate`, or the number of one
    public init(
        url: URL, apiKey: String? = nil, clientId: String = "swift-\(UUID().uuidString)", chunkDuration: Double = 1.0,
        reconnectSeconds: Double = 60, queue: DispatchQueue = .main, channels: Int = 1, channelMode: String = "auto"
    ) {
        self.url = url
        self.apiKey = apiKey
        self.clientId = clientId
        self.chunkDuration = chunkDuration
        self.reconnectSeconds = reconnectSeconds
        self.queue = queue
        self.channels = max(1, channels)
        self.channelMode = channelMode
    }

    /// Connects; what is sent before it stands is kept.
    public func connect() {
        guard socket == nil, !isOver else { return }
        open()
    }

    /// Sends samples from -1 to 1, interleaved if there are `channels`, at the same rate all along, 8,000 to 192,000.
    public func sendAudioChunk(_ samples: [Float], sampleRate: Int = 16_000) throws {
        guard !isOver, !isEnding else { throw BonafideError(code: "unavailable", message: "the session has ended") }
        guard self.sampleRate == 0 || self.sampleRate == sampleRate else {
            throw BonafideError(code: "invalid_request", message: "a stream has one sample rate")
        }
        guard samples.count % channels == 0 else {
            throw BonafideError(code: "invalid_request", message: "no whole number of samples for each channel")
        }
        let isFirst = self.sampleRate == 0
        self.sampleRate = sampleRate
        unjudged += samples
        forget(unjudged.count / channels - Self.keptSeconds * sampleRate)
        guard isOpen else { return }
        if isFirst { configure() }
        sendAudio(samples)
    }

    /// Judges the rest, ends the session, and asks for the summary.
    public func end() {
        isEnding = true
        if isOpen { send("end") }
    }

    /// Closes the connection at once, without a summary.
    public func disconnect() {
        isOver = true
        socket?.disconnect()
    }

    public func didReceive(event: WebSocketEvent, client: WebSocketClient) {
        guard let socket, (client as AnyObject) === socket else { return } // an older connection's last words
        switch event {
        case .connected:
            opened()
        case .text(let text):
            received(text)
        case .disconnected(let reason, let code):
            lost(isFinal: Self.finalClosures.contains(code), why: reason.isEmpty ? "closed with code \(code)" : reason)
        case .error(let error):
            lost(isFinal: isRefusal(error), why: error.map { "\($0)" } ?? "the connection broke")
        case .cancelled, .peerClosed:
            lost(isFinal: false, why: "the connection broke")
        default:
            break
        }
    }

    private func open() {
        var request = URLRequest(url: url)
        request.timeoutInterval = 10
        if let apiKey { request.setValue("Bearer \(apiKey)", forHTTPHeaderField: "Authorization") }
        let socket = WebSocket(request: request)
        socket.delegate = self
        socket.callbackQueue = queue
        self.socket = socket
        socket.connect()
    }

    /// A connection stands: continues where the last one broke.
    private func opened() {
        isOpen = true
        start = next
        firstSequence = nextSequence
        unanswered = []
        send("connect", ["client_id": clientId])
        if sampleRate != 0 { configure() }
        sendAudio(unjudged)
        if isEnding { send("end") }
    }

    private func configure() {
        var fields: [String: Any] = ["encoding": "float32", "sample_rate": sampleRate, "chunk_duration": chunkDuration]
        if channels > 1 { fields.merge(["channels": channels, "channel_mode": channelMode]) { _, new in new } }
        send("config", fields)
    }

    private func send(_ type: String, _ fields: [String: Any] = [:]) {
        let message = fields.merging(["type": type]) { _, new in new }
        guard let data = try? JSONSerialization.data(withJSONObject: message) else { return }
        unanswered.append(0)
        socket?.write(string: String(decoding: data, as: UTF8.self))
    }

    private func sendAudio(_ samples: [Float]) {
        let most = Self.frameSamples - Self.frameSamples % channels
        for from in stride(from: 0, to: samples.count, by: most) {
            let words = samples[from..<min(from + most, samples.count)].map { $0.bitPattern.littleEndian }
            unanswered.append(words.count)
            socket?.write(data: words.withUnsafeBufferPointer { Data(buffer: $0) })
        }
    }

    private func received(_ text: String) {
        guard let message = (try? JSONSerialization.jsonObject(with: Data(text.utf8))) as? [String: Any] else { return }
        guard let type = message["type"] as? String, Self.answers.contains(type) else { return }
        let samples = unanswered.isEmpty ? 0 : unanswered.removeFirst()
        // Not once `connected`: the audio may be what breaks each connection.
        if type == "detection_result" || unanswered.isEmpty {
            lostAt = nil
            pause = Self.firstPause
        }
        switch type {
        case "detection_result":
            for window in message["windows"] as? [[String: Any]] ?? [] { judged(window) }
        case "summary":
            isOver = true
            let seconds = start + (message["audio_seconds"] as? Double ?? 0)
            onSummary(Summary(
                label: message["label"] as? String ?? "", pSpoof: message["p_spoof"] as? Double, audioSeconds: seconds,
                json: message, decision: message["decision"] as? String, llr: message["llr"] as? Double,
                partiallySpoofed: message["partially_spoofed"] as? Bool ?? false,
                conditions: message["conditions"] as? [String] ?? []
            ))
        case "error":
            let code = message["code"] as? String ?? "internal"
            if Self.notHeard.contains(code) { refused(samples) }
            onError(BonafideError(code: code, message: message["message"] as? String ?? ""), false)
        default:
            break
        }
    }

    /// Drops the samples of a frame of which the service has buffered nothing.
    private func refused(_ samples: Int) {
        let end = max(0, unjudged.count - unanswered.reduce(0, +))
        unjudged.removeSubrange(max(0, end - samples)..<end)
    }

    private func judged(_ window: [String: Any]) {
        guard let sequence = window["sequence"] as? Int, let from = window["start_time_seconds"] as? Double,
            let to = window["end_time_seconds"] as? Double, let label = window["label"] as? String,
            let running = window["running"] as? [String: Any], let runningLabel = running["label"] as? String
        else { return onError(BonafideError(code: "internal", message: "no window of a Bonafide service"), false) }
        let result = DetectionResult(
            sequence: firstSequence + sequence, start: start + from, end: start + to, label: label,
            pSpoof: window["p_spoof"] as? Double, speechRatio: window["speech_ratio"] as? Double ?? 0,
            runningLabel: runningLabel, runningPSpoof: running["p_spoof"] as? Double,
            memberScores: window["member_scores"] as? [String: Double] ?? [:],
            llr: window["llr"] as? Double, channel: window["channel"] as? String ?? ""
        )
        forget(Int(((result.end - next) * Double(sampleRate)).rounded()))
        next = result.end
        nextSequence = result.sequence + 1
        onDetectionResult(result)
    }

    /// Drops so many samples of each channel.
    private func forget(_ samples: Int) {
        let spare = max(0, min(samples, unjudged.count / channels))
        guard spare > 0 else { return }
        unjudged.removeFirst(spare * channels)
        next += Double(spare) / Double(sampleRate)
    }

    private func lost(isFinal: Bool, why: String) {
        guard !isOver else { return }
        isOpen = false
        socket = nil
        let since = lostAt ?? Date()
        lostAt = since
        if isFinal || Date().timeIntervalSince(since) > reconnectSeconds {
            isOver = true
            return onError(BonafideError(code: "unavailable", message: why), true)
        }
        // Clients of a service that restarts do not all come back in the same moment.
        queue.asyncAfter(deadline: .now() + pause * Double.random(in: 0.5...1)) { [weak self] in
            guard let self, !self.isOver, self.socket == nil else { return }
            self.open()
        }
        pause = min(2 * pause, Self.longestPause)
    }

    /// A refused handshake is an HTTP answer: 429 and 5xx may pass, the rest will not.
    private func isRefusal(_ error: Error?) -> Bool {
        guard case .notAnUpgrade(let status, _)? = error as? HTTPUpgradeError else { return false }
        return (400..<500).contains(status) && status != 429
    }
}
