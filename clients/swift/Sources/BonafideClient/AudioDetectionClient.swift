import Foundation
import Starscream

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
    /// How long an answer, that to the handshake too, may take before the connection counts as broken.
    private static let answerSeconds = 30.0
    /// Exactly one answer comes for each frame, of one of these types or `error`.
    private static let fitting: [String: Set<String>] = [
        "connect": ["connected"], "config": ["config_updated"], "audio": ["buffering", "detection_result"],
        "end": ["summary"],
    ]
    private static let answers = fitting.values.reduce(into: Set(["error"])) { $0.formUnion($1) }
    /// With these a frame is refused before anything of it is buffered.
    private static let notHeard: Set<String> = ["invalid_request", "too_large", "unreadable_media"]
    /// Closures after which the same would only happen again.
    private static let finalClosures: [UInt16: String] = [
        1000: "unavailable", 1002: "internal", 1003: "invalid_request", 1007: "invalid_request", 1008: "unavailable",
        1009: "too_large",
    ]
    /// Refused handshakes; those that are not here will be refused again.
    private static let statusCodes: [Int: String] = [
        401: "unauthenticated", 403: "forbidden", 429: "overloaded", 502: "unavailable", 503: "unavailable",
        504: "unavailable",
    ]
    private static let passing: Set<String> = ["overloaded", "unavailable", "deadline_exceeded"]

    private let url: URL
    private let apiKey: String?
    private let clientId: String
    private let chunkDuration: Double
    private let reconnectSeconds: Double
    private let queue: DispatchQueue
    private let channels: Int
    private let channelMode: String
    private let keyInClear: Bool
    private var socket: WebSocket?
    private var sampleRate = 0
    private var isOpen = false
    private var isEnding = false
    private var isOver = false
    /// When the service was lost, by a clock that only goes forward; nil while it is there.
    private var lostAt: DispatchTime?
    private var watch: DispatchWorkItem?
    private var pause = AudioDetectionClient.firstPause

    /// Audio from where the next window begins, and where that is in the stream.
    private var unjudged: [Float] = []
    private var next = 0.0
    /// What neighbouring windows share, as the service is set.
    private var overlap = 0.0
    /// The frames that await their answer, which come in order, and how many samples each holds.
    private var unanswered: [(kind: String, samples: Int)] = []
    /// What this connection counts from.
    private var origin = Origin(seconds: 0, sequence: 0)
    private var nextSequence = 0
    /// The windows of earlier connections, and of this one: of each summary the service knows the last part.
    private var earlier: [[String: Any]] = []
    private var windows: [[String: Any]] = []

    /// - Parameters:
    ///   - chunkDuration: seconds of a window, 0.25 to 4; shorter ones answer sooner and know less
    ///   - reconnectSeconds: how long a lost service is looked for
    ///   - channels: that are interleaved in the samples
    ///   - channelMode: which are judged: `auto` (those of a call apart), `mix`, `separate`, or the number of one
    ///   - keyInClear: sends the key over `ws:` to another machine too, where something else encrypts the way
    public init(
        url: URL, apiKey: String? = nil, clientId: String = "swift-\(UUID().uuidString)", chunkDuration: Double = 1.0,
        reconnectSeconds: Double = 60, queue: DispatchQueue = .main, channels: Int = 1, channelMode: String = "auto",
        keyInClear: Bool = false
    ) {
        self.url = url
        self.apiKey = apiKey
        self.clientId = clientId
        self.chunkDuration = chunkDuration
        self.reconnectSeconds = reconnectSeconds
        self.queue = queue
        self.channels = max(1, channels)
        self.channelMode = channelMode
        self.keyInClear = keyInClear
    }

    /// Connects; what is sent before it stands is kept.
    public func connect() {
        guard socket == nil, !isOver else { return }
        open()
    }

    /// Sends samples from -1 to 1, interleaved if there are `channels`, at the same rate all along, 8,000 to 192,000.
    ///
    /// More than 30 s that await an answer are refused as `overloaded`: all of it is kept, to be sent again.
    public func sendAudioChunk(_ samples: [Float], sampleRate: Int = 16_000) throws {
        guard !isOver, !isEnding else { throw BonafideError(code: "unavailable", message: "the session has ended") }
        guard self.sampleRate == 0 || self.sampleRate == sampleRate else {
            throw BonafideError(code: "invalid_request", message: "a stream has one sample rate")
        }
        guard samples.count % channels == 0 else {
            throw BonafideError(code: "invalid_request", message: "no whole number of samples for each channel")
        }
        let most = Self.keptSeconds * sampleRate
        let waiting = unanswered.reduce(0) { $0 + $1.samples }
        guard (waiting + samples.count) / channels <= most else {
            let message = "\(Self.keptSeconds) seconds of audio wait for an answer already"
            throw BonafideError(code: "overloaded", message: message)
        }
        let isFirst = self.sampleRate == 0
        self.sampleRate = sampleRate
        // What is not answered is kept; what the service has heard and could not judge, or waits for it, only so long.
        forget((unjudged.count - waiting + (isOpen ? 0 : samples.count)) / channels - most)
        unjudged += samples
        guard isOpen else { return }
        if isFirst { configure() }
        sendAudio(samples)
    }

    /// Judges the rest, ends the session, and asks for the summary.
    public func end() {
        guard !isEnding, !isOver else { return }
        isEnding = true
        if isOpen { send("end") }
    }

    /// Closes the connection at once, without a summary.
    public func disconnect() {
        finish()
    }

    public func didReceive(event: WebSocketEvent, client: WebSocketClient) {
        guard let socket, (client as AnyObject) === socket else { return } // an older connection's last words
        switch event {
        case .connected:
            opened()
        case .text(let text):
            received(text)
        case .disconnected(let reason, let code):
            let final = Self.finalClosures[code]
            let why = reason.isEmpty ? "closed with code \(code)" : reason
            lost(isFinal: final != nil, BonafideError(code: final ?? "unavailable", message: why))
        case .error(let error):
            refused(by: error)
        case .cancelled, .peerClosed:
            lost(isFinal: false, BonafideError(code: "unavailable", message: "the connection broke"))
        default:
            break
        }
    }

    private func open() {
        if apiKey != nil, !keyInClear, !isEncrypted, !isThisMachine {
            let why = "the API key would travel to \(url.host ?? "") unencrypted; use wss:, or keyInClear where something "
                + "else encrypts the way"
            return fail(BonafideError(code: "invalid_request", message: why))
        }
        var request = URLRequest(url: url)
        request.timeoutInterval = 10
        if let apiKey { request.setValue("Bearer \(apiKey)", forHTTPHeaderField: "Authorization") }
        let socket = WebSocket(request: request)
        socket.delegate = self
        socket.callbackQueue = queue
        self.socket = socket
        socket.connect()
        startWatch() // a server may take the connection and never answer the handshake
    }

    private var isEncrypted: Bool { ["wss", "https"].contains(url.scheme?.lowercased()) }

    private var isThisMachine: Bool {
        let thisMachine = "^(localhost|127(\\.[0-9]{1,3}){3}|\\[?::1\\]?)$"
        return url.host?.range(of: thisMachine, options: [.regularExpression, .caseInsensitive]) != nil
    }

    /// A connection stands: continues where the last one broke.
    private func opened() {
        stopWatch()
        guard !isOver else { return finish() } // `disconnect` came before the connection stood
        isOpen = true
        origin = Origin(seconds: next, sequence: nextSequence)
        earlier += windows
        windows = []
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
        unanswered.append((type, 0))
        socket?.write(string: String(decoding: data, as: UTF8.self))
        startWatch()
    }

    private func sendAudio(_ samples: [Float]) {
        let most = Self.frameSamples - Self.frameSamples % channels
        for from in stride(from: 0, to: samples.count, by: most) {
            let words = samples[from..<min(from + most, samples.count)].map { $0.bitPattern.littleEndian }
            unanswered.append(("audio", words.count))
            socket?.write(data: words.withUnsafeBufferPointer { Data(buffer: $0) })
            startWatch()
        }
    }

    /// Takes a message, and tells what it says when all of it is understood.
    private func received(_ text: String) {
        guard !isOver else { return }
        do {
            try answered(text)()
        } catch let error as BonafideError {
            fail(error)
        } catch {
            fail(.nonsense("a message that cannot be understood"))
        }
    }

    private func answered(_ text: String) throws -> () -> Void {
        guard let message = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any],
            let type = message["type"] as? String
        else { throw BonafideError.nonsense("no message") }
        guard Self.answers.contains(type) else { return {} }
        if unanswered.isEmpty, type == "error" { throw BonafideError(told: message) } // why the service is about to close
        guard !unanswered.isEmpty else { throw BonafideError.nonsense("\(type), and nothing was asked") }
        let asked = unanswered.removeFirst()
        stopWatch()
        if !unanswered.isEmpty { startWatch() }
        var tell: () -> Void = {}
        if type == "error" {
            let error = BonafideError(told: message)
            if asked.kind == "connect" || asked.kind == "config" { throw error } // nothing can go on
            if Self.notHeard.contains(error.code) { refused(asked.samples) }
            tell = { self.onError(error, false) }
        } else if Self.fitting[asked.kind]?.contains(type) != true {
            throw BonafideError.nonsense("\(type) to \(asked.kind)")
        }
        switch type {
        case "detection_result":
            tell = try judged(message)
        case "summary":
            let summary = try Summary(summaryAfter(earlier, origin.summary(in: Summary.understood(message))))
            finish()
            tell = { self.onSummary(summary) }
        case "config_updated":
            overlap = (message["config"] as? [String: Any])?["overlap_duration"] as? Double ?? 0
        default:
            break
        }
        // Not once `connected`: the audio may be what breaks each connection.
        if type == "detection_result" || unanswered.isEmpty {
            lostAt = nil
            pause = Self.firstPause
        }
        return tell
    }

    /// Drops the samples of a frame of which the service has buffered nothing.
    private func refused(_ samples: Int) {
        let end = max(0, unjudged.count - unanswered.reduce(0) { $0 + $1.samples })
        unjudged.removeSubrange(max(0, end - samples)..<end)
    }

    private func judged(_ message: [String: Any]) throws -> () -> Void {
        let judged = try objects("windows", in: message).map { try origin.window(in: $0) }
        let results = try judged.map { try DetectionResult($0) }
        guard let last = results.last else { throw BonafideError.nonsense("a result without a window") }
        windows += judged
        let following = last.end - overlap
        forget(Int(((following - next) * Double(sampleRate)).rounded()))
        next = following
        nextSequence = last.sequence + 1
        let unjudged = message["error_message"] as? String ?? ""
        return {
            results.forEach { self.onDetectionResult($0) }
            if !unjudged.isEmpty { self.onError(BonafideError(code: "unavailable", message: unjudged), false) }
        }
    }

    /// Drops so many samples of each channel.
    private func forget(_ samples: Int) {
        let spare = max(0, min(samples, unjudged.count / channels))
        guard spare > 0 else { return }
        unjudged.removeFirst(spare * channels)
        next += Double(spare) / Double(sampleRate)
    }

    private func lost(isFinal: Bool, _ why: BonafideError, retryAfter: Double = 0) {
        guard !isOver else { return }
        stopWatch()
        isOpen = false
        socket = nil
        unanswered = [] // it is all in `unjudged`
        let now = DispatchTime.now()
        let since = lostAt ?? now
        lostAt = since
        let seconds = Double(now.uptimeNanoseconds - since.uptimeNanoseconds) / 1e9
        if isFinal || seconds + retryAfter > reconnectSeconds { return fail(why) }
        // Clients of a service that restarts do not all come back in the same moment.
        let least = max(retryAfter, pause / 2)
        queue.asyncAfter(deadline: .now() + least + Double.random(in: 0...max(pause, retryAfter) / 2)) { [weak self] in
            guard let self, !self.isOver, self.socket == nil else { return }
            self.open()
        }
        pause = min(2 * pause, Self.longestPause)
    }

    /// A handshake may have been refused with an HTTP answer, whose body Starscream does not show.
    private func refused(by error: Error?) {
        guard case .notAnUpgrade(let status, let headers)? = error as? HTTPUpgradeError else {
            let why = error.map { "\($0)" } ?? "the connection broke"
            return lost(isFinal: false, BonafideError(code: "unavailable", message: why))
        }
        let code = Self.statusCodes[status] ?? "invalid_request"
        let told = headers.first { $0.key.lowercased() == "retry-after" }.flatMap { Double($0.value) } ?? 0
        let why = BonafideError(code: code, message: "refused with status \(status)")
        lost(isFinal: !Self.passing.contains(code), why, retryAfter: (0...86_400).contains(told) ? told : 0)
    }

    /// Gives a connection up on which no answer comes.
    private func startWatch() {
        guard watch == nil else { return }
        let item = DispatchWorkItem { [weak self] in
            guard let self, let silent = self.socket else { return }
            self.lost(isFinal: false, BonafideError(code: "unavailable", message: "no answer came for long"))
            silent.forceDisconnect()
        }
        watch = item
        queue.asyncAfter(deadline: .now() + Self.answerSeconds, execute: item)
    }

    private func stopWatch() {
        watch?.cancel()
        watch = nil
    }

    /// Ends the session with an error.
    private func fail(_ error: BonafideError) {
        finish()
        onError(error, true)
    }

    private func finish() {
        isOver = true
        stopWatch()
        socket?.disconnect()
    }
}
