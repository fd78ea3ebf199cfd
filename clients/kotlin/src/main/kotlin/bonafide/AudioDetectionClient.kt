package bonafide

import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.util.Timer
import java.util.concurrent.TimeUnit
import kotlin.concurrent.schedule
import kotlin.random.Random
import okhttp3.OkHttpClient
import okhttp3.Request
import okhttp3.Response
import okhttp3.WebSocket
import okhttp3.WebSocketListener
import okio.ByteString.Companion.toByteString
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

/** `code` is the service's own, such as `overloaded`. */
class BonafideException(val code: String, message: String) : Exception(message)

/**
 * Judges speech while it is spoken: audio in, windows out to `onDetectionResult`. One client is one stream.
 *
 * A connection that breaks is opened again with growing pauses. Audio whose window has not come yet is kept, and sent
 * again; windows are numbered on. The callbacks run on OkHttp's threads.
 */
class AudioDetectionClient(
    private val url: String,
    private val apiKey: String? = null,
    private val clientId: String = "kotlin-${Random.nextInt(Int.MAX_VALUE)}",
    /** Seconds of a window, 0.25 to 4; shorter ones answer sooner and know less. */
    private val chunkDuration: Double = 1.0,
    private val reconnectMillis: Long = 60_000,
    http: OkHttpClient = OkHttpClient(),
    /** That are interleaved in the samples. */
    private val channels: Int = 1,
    /** Which channels are judged: `auto` (those of a call apart), `mix`, `separate`, or the number of one. */
    private val channelMode: String = "auto",
) {
    var onDetectionResult: (DetectionResult) -> Unit = {}
    var onSummary: (Summary) -> Unit = {}

    /** A moment that was not judged, or, with `lost`, the end of the session. */
    var onError: (error: BonafideException, lost: Boolean) -> Unit = { _, _ -> }

    init {
        require(channels >= 1) { "at least one channel" }
    }

    private val http = http.newBuilder().pingInterval(20, TimeUnit.SECONDS).build()
    private val timer = Timer(true)
    private var socket: WebSocket? = null
    private var sampleRate = 0
    private var isOpen = false
    private var isEnding = false
    private var isOver = false
    private var lostAt = 0L
    private var pauseMillis = FIRST_PAUSE_MILLIS

    /** Audio from where the next window begins, and where that is in the stream. */
    private var unjudged = FloatArray(0)
    private var nextSeconds = 0.0

    /** The frames that await their answer, which come in order: how many samples each holds, 0 for text. */
    private val unanswered = ArrayDeque<Int>()

    /** What this connection counts from. */
    private var startSeconds = 0.0
    private var firstSequence = 0L
    private var nextSequence = 0L

    /** Connects; what is sent before it stands is kept. */
    @Synchronized
    fun connect() {
        if (socket == null && !isOver) open()
    }

    /** Sends samples from -1 to 1, interleaved if there are `channels`, at the same rate all along, 8,000 to 192,000. */
    @Synchronized
    fun sendAudioChunk(samples: FloatArray, sampleRate: Int = 16_000) {
        require(samples.size % channels == 0) { "no whole number of samples for each channel" }
        require(this.sampleRate == 0 || this.sampleRate == sampleRate) { "a stream has one sample rate" }
        if (isOver || isEnding) throw BonafideException("unavailable", "the session has ended")
        val isFirst = this.sampleRate == 0
        this.sampleRate = sampleRate
        unjudged += samples
        val spare = unjudged.size / channels - KEPT_SECONDS * sampleRate
        if (spare > 0) forget(spare)
        if (isOpen && isFirst) configure()
        if (isOpen) sendAudio(samples)
    }

    /** Judges the rest, ends the session, and asks for the summary. */
    @Synchronized
    fun end() {
        isEnding = true
        if (isOpen) sendText("end")
    }

    /** Closes the connection at once, without a summary. */
    @Synchronized
    fun disconnect() {
        isOver = true
        timer.cancel()
        socket?.close(1000, null)
    }

    private fun open() {
        val request = Request.Builder().url(url)
        apiKey?.let { request.header("Authorization", "Bearer $it") }
        socket = http.newWebSocket(request.build(), Listener())
    }

    /** A connection stands: continues where the last one broke. */
    @Synchronized
    private fun opened(over: WebSocket) {
        if (isOver || over !== socket) return
        isOpen = true
        startSeconds = nextSeconds
        firstSequence = nextSequence
        unanswered.clear()
        sendText("connect", "client_id" to clientId)
        if (sampleRate != 0) configure()
        sendAudio(unjudged)
        if (isEnding) sendText("end")
    }

    private fun configure() {
        val fields = mutableListOf<Pair<String, Any>>(
            "encoding" to "float32", "sample_rate" to sampleRate, "chunk_duration" to chunkDuration,
        )
        if (channels > 1) fields += listOf("channels" to channels, "channel_mode" to channelMode)
        sendText("config", *fields.toTypedArray())
    }

    private fun sendText(type: String, vararg fields: Pair<String, Any>) {
        unanswered += 0
        socket?.send(JSONObject(mapOf("type" to type) + fields).toString())
    }

    private fun sendAudio(samples: FloatArray) {
        val most = FRAME_SAMPLES - FRAME_SAMPLES % channels
        for (start in samples.indices step most) {
            val end = minOf(start + most, samples.size)
            val bytes = ByteBuffer.allocate(4 * (end - start)).order(ByteOrder.LITTLE_ENDIAN)
            for (index in start until end) bytes.putFloat(samples[index])
            unanswered += end - start
            socket?.send(bytes.array().toByteString())
        }
    }

    @Synchronized
    private fun received(from: WebSocket, message: JSONObject) {
        if (from !== socket) return
        val type = message.getString("type")
        if (type !in ANSWERS) return
        val samples = unanswered.removeFirstOrNull() ?: 0
        if (type == "error" && message.getString("code") in NOT_HEARD) refused(samples)
        // Not once `connected`: the audio may be what breaks each connection.
        if (type == "detection_result" || unanswered.isEmpty()) {
            lostAt = 0
            pauseMillis = FIRST_PAUSE_MILLIS
        }
        when (type) {
            "detection_result" -> message.getJSONArray("windows").forEach { judged(it as JSONObject) }
            "summary" -> summed(message)
            "error" -> onError(BonafideException(message.getString("code"), message.getString("message")), false)
        }
    }

    /** Drops the samples of a frame of which the service has buffered nothing. */
    private fun refused(samples: Int) {
        val end = maxOf(0, unjudged.size - unanswered.sum())
        val start = maxOf(0, end - samples)
        unjudged = unjudged.copyOfRange(0, start) + unjudged.copyOfRange(end, unjudged.size)
    }

    private fun judged(window: JSONObject) {
        val running = window.getJSONObject("running")
        val result = DetectionResult(
            sequence = firstSequence + window.getLong("sequence"),
            startSeconds = startSeconds + window.getDouble("start_time_seconds"),
            endSeconds = startSeconds + window.getDouble("end_time_seconds"),
            label = window.getString("label"),
            pSpoof = window.probability("p_spoof"),
            speechRatio = window.getDouble("speech_ratio"),
            runningLabel = running.getString("label"),
            runningPSpoof = running.probability("p_spoof"),
            memberScores = window.optJSONObject("member_scores")?.let { scores ->
                scores.keys().asSequence().associateWith { scores.getDouble(it) }
            } ?: emptyMap(),
            llr = window.number("llr"),
            channel = window.optString("channel"),
        )
        forget(Math.round((result.endSeconds - nextSeconds) * sampleRate).toInt())
        nextSeconds = result.endSeconds
        nextSequence = result.sequence + 1
        onDetectionResult(result)
    }

    private fun summed(message: JSONObject) {
        isOver = true
        timer.cancel()
        val seconds = startSeconds + message.getDouble("audio_seconds")
        onSummary(
            Summary(
                label = message.getString("label"),
                pSpoof = message.probability("p_spoof"),
                audioSeconds = seconds,
                json = message,
                decision = if (message.isNull("decision")) null else message.getString("decision"),
                llr = message.number("llr"),
                partiallySpoofed = message.optBoolean("partially_spoofed"),
                conditions = message.optJSONArray("conditions")?.map { it.toString() } ?: emptyList(),
            )
        )
    }

    /** Drops so many samples of each channel. */
    private fun forget(samples: Int) {
        val spare = samples.coerceIn(0, unjudged.size / channels)
        unjudged = unjudged.copyOfRange(spare * channels, unjudged.size)
        nextSeconds += spare.toDouble() / sampleRate
    }

    @Synchronized
    private fun lost(from: WebSocket, isFinal: Boolean, why: String) {
        if (isOver || from !== socket) return
        socket = null // OkHttp may tell of one connection's end twice
        isOpen = false
        val now = System.currentTimeMillis()
        if (lostAt == 0L) lostAt = now
        if (isFinal || now - lostAt > reconnectMillis) {
            isOver = true
            timer.cancel()
            return onError(BonafideException("unavailable", why), true)
        }
        // Clients of a service that restarts do not all come back in the same moment.
        timer.schedule(pauseMillis / 2 + Random.nextLong(pauseMillis / 2)) { reopen() }
        pauseMillis = minOf(2 * pauseMillis, LONGEST_PAUSE_MILLIS)
    }

    @Synchronized
    private fun reopen() {
        if (!isOver && socket == null) open()
    }

    private inner class Listener : WebSocketListener() {
        override fun onOpen(webSocket: WebSocket, response: Response) = opened(webSocket)

        override fun onMessage(webSocket: WebSocket, text: String) = received(webSocket, JSONObject(text))

        override fun onClosing(webSocket: WebSocket, code: Int, reason: String) {
            webSocket.close(1000, null)
            lost(webSocket, code in FINAL_CLOSURES, reason.ifEmpty { "closed with code $code" })
        }

        override fun onFailure(webSocket: WebSocket, t: Throwable, response: Response?) {
            // A refused handshake is an HTTP answer: 429 and 5xx may pass, the rest will not.
            val isFinal = response != null && response.code in 400..499 && response.code != 429
            lost(webSocket, isFinal, response?.let { "refused with status ${it.code}" } ?: t.toString())
        }
    }

    private companion object {
        const val FIRST_PAUSE_MILLIS = 250L
        const val LONGEST_PAUSE_MILLIS = 5_000L
        const val KEPT_SECONDS = 30
        const val FRAME_SAMPLES = 65_536

        /** Exactly one of them for each frame. */
        val ANSWERS = setOf("connected", "config_updated", "buffering", "detection_result", "summary", "error")

        /** With these a frame is refused before anything of it is buffered. */
        val NOT_HEARD = setOf("invalid_request", "too_large", "unreadable_media")

        /** Closures after which the same would only happen again. */
        val FINAL_CLOSURES = setOf(1000, 1002, 1003, 1007, 1008, 1009)
    }
}

private fun JSONObject.number(name: String): Double? = if (isNull(name)) null else getDouble(name)

private fun JSONObject.probability(name: String): Double? = if (isNull(name)) null else getDouble(name)
