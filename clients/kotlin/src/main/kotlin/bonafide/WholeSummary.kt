package bonafide

import org.json.JSONArray
import org.json.JSONObject

// The summary of a stream that went on over several connections, of which the service knows the last.

/** `summary`, together with the windows that were judged before it. Both are placed in the stream already. */
internal fun summaryAfter(earlier: List<JSONObject>, summary: JSONObject): JSONObject {
    if (earlier.isEmpty()) return summary
    val told = summary.objects("channels")
    val names = (told.map { it.getString("name") } + earlier.map { it.optString("channel") }.filter { it.isNotEmpty() }).distinct()
    if (names.isEmpty()) return over(earlier + summary.objects("windows"), summary)
    val wholes = names.mapIndexed { place, name ->
        val last = told.find { it.getString("name") == name }
        val heard = earlier.filter { it.optString("channel") == "" || it.optString("channel") == name }
        val whole = over(heard + (last ?: summary).objects("windows"), summary)
        ofChannel(last?.getInt("number") ?: place, name, whole, last ?: summary)
    }
    val (worst, ofWorst) = wholes.reduce { one, other ->
        if ((other.first.number("p_spoof") ?: -1.0) > (one.first.number("p_spoof") ?: -1.0)) other else one
    }
    val channels = wholes.map { it.second }.sortedBy { it.getInt("number") }
    return copy(worst, without = setOf("conditions"))
        .putOpt("conditions", ofWorst.opt("conditions"))
        .put("channel", ofWorst.getString("name"))
        .put("channels", JSONArray(channels))
}

/** The whole of a channel, and the same as its own verdict; `last` is what the service tells of its last part. */
private fun ofChannel(number: Int, name: String, whole: JSONObject, last: JSONObject): Pair<JSONObject, JSONObject> {
    val channel = JSONObject().put("number", number).put("name", name).putOpt("conditions", last.opt("conditions"))
    for (field in OF_A_CHANNEL) channel.putOpt(field, whole.opt(field))
    return whole to channel
}

private val OF_A_CHANNEL = listOf(
    "label", "is_spoof", "p_spoof", "speech_seconds", "windows", "suspicious", "member_scores", "partially_spoofed",
)

/** The service has decided on the last part alone. */
private val OF_THE_LAST_PART = setOf("decision", "llr", "member_scores")

/** The summary of these windows, of one channel or of all together. */
private fun over(windows: List<JSONObject>, summary: JSONObject): JSONObject {
    val threshold = summary.finite("threshold")
    val heard = heardIn(windows)
    val score = meanOf(heard) { it.score }
    val isSpoof = score != null && score >= threshold
    val suspicious = stretches(heard)
    val whole = copy(summary, without = OF_THE_LAST_PART)
        .put("label", if (score == null) "no_speech" else if (isSpoof) "spoof" else "bonafide")
        .put("partially_spoofed", score != null && !isSpoof && suspicious.isNotEmpty())
        .put("is_spoof", isSpoof)
        .put("p_spoof", score ?: JSONObject.NULL)
        .put("windows", JSONArray(windows))
        .put("suspicious", JSONArray(suspicious))
        .put("judged_seconds", heard.sumOf { if (it.score == null) 0.0 else it.fresh })
        .put("speech_seconds", heard.sumOf { it.speech })
    val members = memberMeans(heard)
    return if (members.isEmpty()) whole else whole.put("member_scores", JSONObject(members))
}

/** `fresh`: seconds of it that no earlier window held; `weight`: what its score counts. */
private class Heard(val window: JSONObject, val fresh: Double, val speech: Double, val weight: Double) {
    val label: String get() = window.getString("label")
    val start: Double get() = window.finite("start_time_seconds")
    val end: Double get() = window.finite("end_time_seconds")
    val score: Double? get() = window.number("p_spoof")
    val members: JSONObject get() = window.optJSONObject("member_scores") ?: JSONObject()
}

private fun heardIn(windows: List<JSONObject>): List<Heard> {
    // A score without any speech: the service does not ask for speech, and windows weigh their seconds.
    val asked = windows.none { it.number("p_spoof") != null && it.finite("speech_ratio") == 0.0 }
    var end = 0.0
    return windows.map { window ->
        val fresh = window.finite("end_time_seconds") - maxOf(window.finite("start_time_seconds"), end)
        end = window.finite("end_time_seconds")
        val speech = window.finite("speech_ratio") * fresh
        Heard(window, fresh, speech, if (asked) speech else fresh)
    }
}

/** Seconds; windows with a smaller gap between them are adjacent, as for the service. */
private const val NEIGHBOURS_S = 0.01

/** Runs of windows labelled spoof: a pause within one belongs to it, a bona fide window or a gap in time ends it. */
private fun stretches(heard: List<Heard>): List<JSONObject> {
    val runs = mutableListOf<MutableList<Heard>>()
    var running = false
    var end = 0.0
    for (one in heard) {
        running = running && one.label != "bonafide" && one.start < end + NEIGHBOURS_S
        if (one.label == "spoof") {
            if (running) runs.last() += one else runs += mutableListOf(one)
            running = true
        }
        end = one.end
    }
    return runs.map { run ->
        JSONObject()
            .put("start_time_seconds", run.first().start)
            .put("end_time_seconds", run.last().end)
            .put("p_spoof", meanOf(run) { it.score } ?: 0.0)
    }
}

/** Of the members that all windows with a score have: another model may answer after a reconnection. */
private fun memberMeans(heard: List<Heard>): Map<String, Double> {
    val judged = heard.filter { it.score != null }
    val names = judged.firstOrNull()?.members?.keys()?.asSequence()?.toList() ?: emptyList()
    val common = names.filter { name -> judged.all { it.members.has(name) } }
    return common.associateWith { name -> meanOf(judged) { it.members.number(name) } ?: 0.0 }
}

private fun meanOf(heard: List<Heard>, score: (Heard) -> Double?): Double? {
    val judged = heard.filter { score(it) != null }
    val weight = judged.sumOf { it.weight }
    return if (weight == 0.0) null else judged.sumOf { (score(it) ?: 0.0) * it.weight } / weight
}
