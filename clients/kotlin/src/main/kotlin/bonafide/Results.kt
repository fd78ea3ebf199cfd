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

/**
 * The verdict on all that was said. `json` holds all of it, with the fields of the service's `summary`, its windows and
 * stretches where they are in the stream.
 */
data class Summary(
    val label: String,
    val pSpoof: Double?,
    val audioSeconds: Double,
    val json: JSONObject,
    /** `bonafide`, `spoof` or `uncertain`; null unless the service has a band, and of a stream that was resumed. */
    val decision: String? = null,
    /** Natural logarithm of the likelihood ratio; null without speech or a calibration, and of a stream that was resumed. */
    val llr: Double? = null,
    /** Bona fide by its mean, with suspicious stretches. */
    val partiallySpoofed: Boolean = false,
    /** What weakens the verdict, such as `narrow_band`; of a stream that was resumed, that on its last part. */
    val conditions: List<String> = emptyList(),
) {
    /** The signed record of the verdict on what the last connection sent, a compact JWS; empty where the service keeps none. */
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

/** The windows of a `detection_result`, all of which are understood. */
internal fun windowsOf(message: JSONObject): List<JSONObject> = message.getJSONArray("windows").objects().onEach {
    check(it)
    check(it.getJSONObject("running"))
}

/** A window that is placed in the stream. */
internal fun resultOf(window: JSONObject): DetectionResult {
    val running = window.getJSONObject("running")
    return DetectionResult(
        sequence = window.getLong("sequence"),
        startSeconds = window.finite("start_time_seconds"),
        endSeconds = window.finite("end_time_seconds"),
        label = window.getString("label"),
        pSpoof = window.number("p_spoof"),
        speechRatio = window.finite("speech_ratio"),
        runningLabel = running.getString("label"),
        runningPSpoof = running.number("p_spoof"),
        memberScores = window.optJSONObject("member_scores")?.let { scores ->
            scores.keys().asSequence().associateWith { scores.getDouble(it) }
        } ?: emptyMap(),
        llr = window.number("llr"),
        channel = window.optString("channel"),
    )
}

/** A `summary`, all of which is understood. */
internal fun summaryIn(message: JSONObject): JSONObject {
    for (whole in listOf(message) + message.objects("channels")) {
        check(whole)
        whole.getJSONArray("windows").objects().forEach(::check)
        whole.getJSONArray("suspicious").objects().forEach { checkScore(it.get("p_spoof")) }
    }
    return message
}

/** A summary that is placed in the stream, and of all of it. */
internal fun summaryOf(whole: JSONObject): Summary = Summary(
    label = whole.getString("label"),
    pSpoof = whole.number("p_spoof"),
    audioSeconds = whole.finite("audio_seconds"),
    json = whole,
    decision = if (whole.isNull("decision")) null else whole.getString("decision"),
    llr = whole.number("llr"),
    partiallySpoofed = whole.optBoolean("partially_spoofed"),
    conditions = whole.optJSONArray("conditions")?.let { told -> (0 until told.length()).map(told::getString) } ?: emptyList(),
)

/** Where a connection's audio begins in the stream, in seconds, and which number its first window gets. */
internal class Origin(private val seconds: Double, private val sequence: Long) {
    fun windowIn(window: JSONObject): JSONObject =
        shifted(window).put("sequence", sequence + window.getLong("sequence"))

    fun summaryIn(summary: JSONObject): JSONObject {
        val whole = moved(summary).put("audio_seconds", seconds + summary.finite("audio_seconds"))
        return if (whole.has("channels")) whole.put("channels", JSONArray(summary.objects("channels").map(::moved))) else whole
    }

    private fun moved(whole: JSONObject): JSONObject = copy(whole)
        .put("windows", JSONArray(whole.objects("windows").map(::windowIn)))
        .put("suspicious", JSONArray(whole.objects("suspicious").map(::shifted)))

    private fun shifted(part: JSONObject): JSONObject = copy(part)
        .put("start_time_seconds", seconds + part.finite("start_time_seconds"))
        .put("end_time_seconds", seconds + part.finite("end_time_seconds"))
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

// Only what Android's own org.json has, too: its arrays cannot be iterated over.

internal fun JSONObject.objects(name: String): List<JSONObject> = optJSONArray(name)?.objects() ?: emptyList()

private fun JSONArray.objects(): List<JSONObject> = (0 until length()).map(::getJSONObject)

internal fun JSONObject.number(name: String): Double? = if (isNull(name)) null else finite(name)

/** As text `NaN` would be read as a number, and no comparison with it holds. */
internal fun JSONObject.finite(name: String): Double {
    val number = getDouble(name)
    if (number.isNaN() || number.isInfinite()) throw nonsense("$name $number")
    return number
}

internal fun copy(from: JSONObject, without: Set<String> = emptySet()): JSONObject {
    val copied = JSONObject()
    for (name in from.keys()) if (name !in without) copied.put(name, from.get(name))
    return copied
}
