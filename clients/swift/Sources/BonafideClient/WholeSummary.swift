import Foundation

// The summary of a stream that went on over several connections, of which the service knows the last.

/// `summary`, together with the windows that were judged before it. Both are placed in the stream already.
func summaryAfter(_ earlier: [[String: Any]], _ summary: [String: Any]) throws -> [String: Any] {
    if earlier.isEmpty { return summary }
    let told = summary["channels"] as? [[String: Any]] ?? []
    var names: [String] = []
    for name in told.map({ text("name", in: $0) }) + earlier.map({ text("channel", in: $0) }) {
        if !name.isEmpty, !names.contains(name) { names.append(name) }
    }
    if names.isEmpty { return try over(earlier + objects("windows", in: summary), summary) }
    var worst: (whole: [String: Any], channel: [String: Any])?
    var channels: [(number: Int, verdict: [String: Any])] = []
    for (place, name) in names.enumerated() {
        let last = told.first { text("name", in: $0) == name }
        let heard = earlier.filter { ["", name].contains(text("channel", in: $0)) }
        let whole = try over(heard + objects("windows", in: last ?? summary), summary)
        let number = last?["number"] as? Int ?? place
        let channel = ofChannel(number, name, whole, last ?? summary)
        channels.append((number, channel))
        if let found = worst, score(of: whole) <= score(of: found.whole) { continue }
        worst = (whole, channel)
    }
    guard let headline = worst else { return summary }
    var result = headline.whole
    result["conditions"] = headline.channel["conditions"]
    result["channel"] = headline.channel["name"]
    result["channels"] = channels.sorted { $0.number < $1.number }.map { $0.verdict }
    return result
}

/// Below all others without speech.
private func score(of whole: [String: Any]) -> Double { whole["p_spoof"] as? Double ?? -1 }

private func text(_ name: String, in told: [String: Any]) -> String { told[name] as? String ?? "" }

/// The whole of a channel as its own verdict; `last` is what the service tells of its last part.
private func ofChannel(
    _ number: Int, _ name: String, _ whole: [String: Any], _ last: [String: Any]
) -> [String: Any] {
    var channel: [String: Any] = ["number": number, "name": name]
    channel["conditions"] = last["conditions"]
    let fields = [
        "label", "is_spoof", "p_spoof", "speech_seconds", "windows", "suspicious", "member_scores", "partially_spoofed",
    ]
    for field in fields { channel[field] = whole[field] }
    return channel
}

/// The summary of these windows, of one channel or of all together.
private func over(_ windows: [[String: Any]], _ summary: [String: Any]) throws -> [String: Any] {
    let threshold = try number("threshold", in: summary)
    let heard = try heardIn(windows)
    let score = meanOf(heard) { $0.score }
    let isSpoof = score.map { $0 >= threshold } ?? false
    let suspicious = stretches(heard)
    let members = memberMeans(heard)
    var whole = summary
    whole["decision"] = nil // the service has decided on the last part alone
    whole["llr"] = nil
    whole["label"] = score == nil ? "no_speech" : isSpoof ? "spoof" : "bonafide"
    whole["partially_spoofed"] = score != nil && !isSpoof && !suspicious.isEmpty
    whole["is_spoof"] = isSpoof
    if let score { whole["p_spoof"] = score } else { whole["p_spoof"] = NSNull() }
    whole["windows"] = windows
    whole["suspicious"] = suspicious
    whole["judged_seconds"] = heard.reduce(0.0) { $0 + ($1.score == nil ? 0 : $1.fresh) }
    whole["speech_seconds"] = heard.reduce(0.0) { $0 + $1.speech }
    whole["member_scores"] = members.isEmpty ? nil : members
    return whole
}

private struct Heard {
    let label: String
    let score: Double?
    let members: [String: Double]
    let start: Double
    let end: Double
    /// Seconds of it that no earlier window held, and of speech in them.
    let fresh: Double
    let speech: Double
    /// What its score counts.
    let weight: Double
}

private func heardIn(_ windows: [[String: Any]]) throws -> [Heard] {
    let verdicts = try windows.map { try Verdict($0) }
    let ratios = try windows.map { try number("speech_ratio", in: $0) }
    // A score without any speech: the service does not ask for speech, and windows weigh their seconds.
    let asked = !zip(verdicts, ratios).contains { $0.pSpoof != nil && $1 == 0 }
    var heard: [Heard] = []
    for (index, window) in windows.enumerated() {
        let start = try number("start_time_seconds", in: window)
        let end = try number("end_time_seconds", in: window)
        let fresh = end - max(start, heard.last?.end ?? 0)
        let speech = ratios[index] * fresh
        heard.append(
            Heard(
                label: verdicts[index].label, score: verdicts[index].pSpoof, members: verdicts[index].memberScores,
                start: start, end: end, fresh: fresh, speech: speech, weight: asked ? speech : fresh
            )
        )
    }
    return heard
}

/// Seconds; windows with a smaller gap between them are adjacent, as for the service.
private let neighbours = 0.01

/// Runs of windows labelled spoof: a pause within one belongs to it, a bona fide window or a gap in time ends it.
private func stretches(_ heard: [Heard]) -> [[String: Any]] {
    var runs: [[Heard]] = []
    var running = false
    var end = 0.0
    for one in heard {
        running = running && one.label != "bonafide" && one.start < end + neighbours
        if one.label == "spoof" {
            if running { runs[runs.count - 1].append(one) } else { runs.append([one]) }
            running = true
        }
        end = one.end
    }
    return runs.map { run in
        let stretch: [String: Any] = [
            "start_time_seconds": run[0].start, "end_time_seconds": run[run.count - 1].end,
            "p_spoof": meanOf(run) { $0.score } ?? 0.0,
        ]
        return stretch
    }
}

/// Of the members that all windows with a score have: another model may answer after a reconnection.
private func memberMeans(_ heard: [Heard]) -> [String: Double] {
    let judged = heard.filter { $0.score != nil }
    var means: [String: Double] = [:]
    for name in judged.first?.members.keys.map({ $0 }) ?? [] {
        guard judged.allSatisfy({ $0.members[name] != nil }) else { continue }
        means[name] = meanOf(judged) { $0.members[name] } ?? 0
    }
    return means
}

private func meanOf(_ heard: [Heard], _ score: (Heard) -> Double?) -> Double? {
    var total = 0.0
    var weight = 0.0
    for one in heard {
        guard let found = score(one) else { continue }
        total += found * one.weight
        weight += one.weight
    }
    return weight == 0 ? nil : total / weight
}
