package bonafide

import org.json.JSONArray
import org.json.JSONObject

/** The verdict on one window. Sequence and times go on through reconnections. */
data class DetectionResult(
    val sequence: Long,
    /** From the start of the stream. */
    val startSeconds: Double,
    val endSeconds: Double,
    /** `spoof`, `bonafide` or `no_speech`. */
    val label: String,
    /** P(spoof), 0 to 1, whatever the label; null when too little of the window is speech. */
    val pSpoof: Double?,
    val speechRatio: Double,
    /** The verdict so far; changes only when it has clearly crossed the threshold. */
    val runningLabel: String,
    val runningPSpoof: Double?,
    /** P(spoof) by each member of an ensemble, by its name; empty for a single model, and without speech. */
    val memberScores: Map<String, Double> = emptyMap(),
    /** Natural logarithm of the likelihood ratio, spoof over bona fide; null without speech or a calibration. */
    val llr: Double? = null,
    /** Whose it is, by name, where channels are judged apart; else empty. Windows of several share a sequence and times. */
    val channel: String = "",
)

/** The verdict on all that was said; after a reconnection, on what was said since. `json` holds all of it. */
data class Summary(
    val label: String,
    val pSpoof: Double?,
    val audioSeconds: Double,
    val json: JSONObject,
    /** `bonafide`, `spoof` or `uncertain`; null unless the service has a band. */
    val decision: String? = null,
    /** Natural logarithm of the likelihood ratio, spoof over bona fide; null without speech or a calibration. */
    val llr: Double? = null,
    /** Bona fide by its mean, with suspicious stretches. */
    val partiallySpoofed: Boolean = false,
    /** What weakens the verdict, such as `narrow_band`. */
    val conditions: List<String> = emptyList(),
) {
    /** The signed record of this verdict, a compact JWS; empty where the service keeps none. */
    val evidence: String get() = json.optString("evidence")

    /** Whose verdict this is, where channels were judged apart: the worst one's, by name; else empty. */
    val channel: String get() = json.optString("channel")
}

/**
 * `code` is the service's own, such as `overloaded`; `requestId` finds the session in the service's log, empty when it
 * never got there.
 */
class BonafideException(val code: String, message: String, val requestId: String = "") : Exception(message)

private const val NEWER_OR_NONE = "it is newer than this client, or no Bonafide service"
private val LABELS = setOf("spoof", "bonafide", "no_speech")
private val DECISIONS = setOf("bonafide", "spoof", "uncertain")

/** An answer that no service of this client's time gives. */
internal fun nonsense(what: String): BonafideException =
    BonafideException("internal", "the service answered with $what: $NEWER_OR_NONE")

/** An `error`, as an answer or as what a refused handshake says. */
internal fun errorOf(told: JSONObject): BonafideException =
    BonafideException(told.getString("code"), told.getString("message"), told.optString("request_id"))

// What could turn a verdict into its opposite is refused here, before a caller takes all but `spoof` for bona fide.

/** A window of a connection whose audio begins at `startSeconds` of the stream; its first window has this number. */
internal fun resultOf(window: JSONObject, startSeconds: Double, firstSequence: Long): DetectionResult {
    check(window)
    val running = window.getJSONObject("running")
    check(running)
    return DetectionResult(
        sequence = firstSequence + window.getLong("sequence"),
        startSeconds = startSeconds + window.getDouble("start_time_seconds"),
        endSeconds = startSeconds + window.getDouble("end_time_seconds"),
        label = window.getString("label"),
        pSpoof = window.number("p_spoof"),
        speechRatio = window.getDouble("speech_ratio"),
        runningLabel = running.getString("label"),
        runningPSpoof = running.number("p_spoof"),
        memberScores = window.optJSONObject("member_scores")?.let { scores ->
            scores.keys().asSequence().associateWith { scores.getDouble(it) }
        } ?: emptyMap(),
        llr = window.number("llr"),
        channel = window.optString("channel"),
    )
}

/** The summary of a connection whose audio begins at `startSeconds` of the stream. */
internal fun summaryOf(message: JSONObject, startSeconds: Double): Summary {
    for (whole in listOf(message) + message.objects("channels")) {
        check(whole)
        whole.objects("windows").forEach(::check)
        whole.objects("suspicious").forEach { checkScore(it.get("p_spoof")) }
    }
    return Summary(
        label = message.getString("label"),
        pSpoof = message.number("p_spoof"),
        audioSeconds = startSeconds + message.getDouble("audio_seconds"),
        json = message,
        decision = if (message.isNull("decision")) null else message.getString("decision"),
        llr = message.number("llr"),
        partiallySpoofed = message.optBoolean("partially_spoofed"),
        conditions = message.optJSONArray("conditions")?.map { it.toString() } ?: emptyList(),
    )
}

/** Of a window, a running verdict, a channel or a summary. */
private fun check(verdict: JSONObject) {
    val label = verdict.opt("label")
    if (label !in LABELS) throw nonsense("label $label")
    val isSpoof = verdict.opt("is_spoof")
    if (isSpoof != null && isSpoof != (label == "spoof")) throw nonsense("label $label with is_spoof $isSpoof")
    val decision = verdict.opt("decision") ?: JSONObject.NULL
    if (decision != JSONObject.NULL && decision !in DECISIONS) throw nonsense("decision $decision")
    if (!verdict.has("p_spoof")) throw nonsense("no score")
    if (!verdict.isNull("p_spoof")) checkScore(verdict.get("p_spoof"))
    val members = verdict.optJSONObject("member_scores")
    members?.keys()?.forEach { checkScore(members.get(it)) }
}

private fun checkScore(score: Any) {
    if (score !is Number || score.toDouble() !in 0.0..1.0) throw nonsense("score $score")
}

private fun JSONObject.objects(name: String): List<JSONObject> {
    val found = optJSONArray(name) ?: JSONArray()
    return (0 until found.length()).map { found.getJSONObject(it) }
}

private fun JSONObject.number(name: String): Double? = if (isNull(name)) null else getDouble(name)
