package bonafide

import java.io.IOException
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.util.Timer
import java.util.TimerTask
import java.util.concurrent.TimeUnit
import kotlin.concurrent.schedule
import kotlin.random.Random
import okhttp3.OkHttpClient
import okhttp3.Request
import okhttp3.Response
import okhttp3.WebSocket
import okhttp3.WebSocketListener
import okio.ByteString.Companion.toByteString
import org.json.JSONException
import org.json.JSONObject

/**
 * Judges speech while it is spoken: audio in, windows out to `onDetectionResult`. One client is one stream.
 *
 * A connection that breaks is opened again with growing pauses. Audio whose window has not come yet is kept, and sent
 * again; windows are numbered on. The callbacks run on OkHttp's threads (of `connect`, on its caller's), one at a time,
 * in order, and may wait for other threads that call the client.
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
    /** Sends the key over `ws:` to another machine too, where something else encrypts the way. */
    private val keyInClear: Boolean = false,
    /** How long an answer, that to the handshake too, may take before the connection counts as broken. */
    private val answerMillis: Long = 30_000,
) {
    @Volatile
    var onDetectionResult: (DetectionResult) -> Unit = {}

    @Volatile
    var onSummary: (Summary) -> Unit = {}

    /** A moment that was not judged, or, with `lost`, the end of the session. */
    @Volatile
    var onError: (error: BonafideException, lost: Boolean) -> Unit = { _, _ -> }

    init {
        require(channels >= 1) { "at least one channel" }
    }

    private val http = http.newBuilder().pingInterval(20, TimeUnit.SECONDS).followRedirects(false).build()
    private val timer = Timer(true)

    /** Held for all that is below, and never while something is told. */
    private val lock = Any()

    /** What is to be told, in order; of the threads that could, one tells. */
    private val untold = ArrayDeque<() -> Unit>()
    private var isTelling = false
    private var socket: WebSocket? = null
    private var sampleRate = 0
    private var isOpen = false
    private var isEnding = false
    private var isOver = false
    /** When the service was lost, in milliseconds of a clock that only goes forward; null while it is there. */
    private var lostAt: Long? = null
    private var pauseMillis = FIRST_PAUSE_MILLIS

    /** Gives a connection up on which no answer comes; `silent` is one that it gave up. */
    private var watch: TimerTask? = null
    private var silent: WebSocket? = null

    /** Audio from where the next window begins, and where that is in the stream. */
    private var unjudged = FloatArray(0)
    private var nextSeconds = 0.0

    /** What neighbouring windows share, as the service is set. */
    private var overlapSeconds = 0.0

    /** The frames that await their answer, which come in order. */
    private val unanswered = ArrayDeque<Asked>()

    /** What this connection counts from. */
    private var origin = Origin(0.0, 0)
    private var nextSequence = 0L

    /** The windows of earlier connections, and of this one: of each summary the service knows the last part. */
    private val earlier = mutableListOf<JSONObject>()
    private val windows = mutableListOf<JSONObject>()

    /** Connects; what is sent before it stands is kept. */
    fun connect() {
        synchronized(lock) {
            if (socket != null || isOver) return
            open()
        }
        tellAll() // it may have failed
    }

    /**
     * Sends samples from -1 to 1, interleaved if there are `channels`, at the same rate all along, 8,000 to 192,000.
     *
     * More than 30 s (less at high rates) that await an answer are refused as `overloaded`: all of it is kept, to be
     * sent again.
     */
    fun sendAudioChunk(samples: FloatArray, sampleRate: Int = 16_000): Unit = synchronized(lock) {
        require(samples.size % channels == 0) { "no whole number of samples for each channel" }
        require(this.sampleRate == 0 || this.sampleRate == sampleRate) { "a stream has one sample rate" }
        if (isOver || isEnding) throw BonafideException("unavailable", "the session has ended")
        val most = minOf(KEPT_SECONDS * sampleRate, MOST_KEPT_SAMPLES / channels)
        val unansweredSamples = unanswered.sumOf { it.samples }
        if ((unansweredSamples + samples.size) / channels > most) {
            throw BonafideException("overloaded", "${most / sampleRate} seconds of audio wait for an answer already")
        }
        val isFirst = this.sampleRate == 0
        this.sampleRate = sampleRate
        // What is not answered is kept; what the service has heard and could not judge, or waits for it, only so long.
        val spare = (unjudged.size - unansweredSamples + (if (isOpen) 0 else samples.size)) / channels - most
        if (spare > 0) forget(spare)
        unjudged += samples
        if (isOpen && isFirst) configure()
        if (isOpen) sendAudio(samples)
    }

    /** Judges the rest, ends the session, and asks for the summary. */
    fun end(): Unit = synchronized(lock) {
        if (isEnding || isOver) return
        isEnding = true
        if (isOpen) sendText("end")
    }

    /** Closes the connection at once, without a summary: nothing more is told, but what is being told. */
    fun disconnect(): Unit = synchronized(lock) {
        finish()
        untold.clear()
    }

    /** Takes what comes of a connection, and tells it when the lock is free. */
    private fun locked(action: () -> Unit) {
        synchronized(lock, action)
        tellAll()
    }

    private fun tell(callback: () -> Unit) {
        untold += callback
    }

    private fun tellAll() {
        while (true) {
            val callback = synchronized(lock) {
                if (isTelling) return // that thread goes on, or a callback has called the client
                untold.removeFirstOrNull()?.also { isTelling = true }
            } ?: return
            try {
                callback()
            } finally {
                synchronized(lock) { isTelling = false }
            }
        }
    }

    private fun open() {
        val request = Request.Builder().url(url)
        val address = request.build().url
        if (apiKey != null && !keyInClear && !address.isHttps && !THIS_MACHINE.matches(address.host)) {
            val why = "the API key would travel to ${address.host} unencrypted; use wss:, or keyInClear where something " +
                "else encrypts the way"
            return fail(BonafideException("invalid_request", why))
        }
        apiKey?.let { request.header("Authorization", "Bearer $it") }
        socket = http.newWebSocket(request.build(), Listener())
        startWatch() // a server may take the connection and never answer the handshake
    }

    /** A connection stands: continues where the last one broke. */
    private fun opened(over: WebSocket) = locked {
        if (isOver || over !== socket) return@locked
        isOpen = true
        stopWatch()
        origin = Origin(nextSeconds, nextSequence)
        earlier += windows
        windows.clear()
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
        unanswered += Asked(type, 0)
        socket?.send(JSONObject(mapOf("type" to type) + fields).toString())
        startWatch()
    }

    private fun sendAudio(samples: FloatArray) {
        val most = FRAME_SAMPLES - FRAME_SAMPLES % channels
        for (start in samples.indices step most) {
            val end = minOf(start + most, samples.size)
            val bytes = ByteBuffer.allocate(4 * (end - start)).order(ByteOrder.LITTLE_ENDIAN)
            for (index in start until end) bytes.putFloat(samples[index])
            unanswered += Asked("audio", end - start)
            socket?.send(bytes.array().toByteString())
            startWatch()
        }
    }

    /** Takes a message, and has told what it says when all of it is understood. */
    private fun received(from: WebSocket, text: String) = locked {
        if (isOver || from !== socket) return@locked
        try {
            answered(JSONObject(text))
        } catch (error: BonafideException) {
            fail(error)
        } catch (error: JSONException) {
            fail(nonsense("a message that cannot be understood (${error.message})"))
        }
    }

    private fun answered(message: JSONObject) {
        val type = message.getString("type")
        if (type !in ANSWERS) return
        val asked = unanswered.removeFirstOrNull()
        if (asked == null && type == "error") throw errorOf(message) // why the service is about to close
        if (asked == null) throw nonsense("$type, and nothing was asked")
        stopWatch()
        if (unanswered.isNotEmpty()) startWatch()
        if (type == "error") {
            val error = errorOf(message)
            if (asked.kind == "connect" || asked.kind == "config") throw error // nothing can go on
            if (error.code in NOT_HEARD) refused(asked.samples)
            hopeAgain(unanswered.isEmpty())
            return tell { onError(error, false) }
        }
        if (type !in FITTING.getValue(asked.kind)) throw nonsense("$type to ${asked.kind}")
        when (type) {
            "detection_result" -> judged(message)
            "summary" -> summed(message)
            "config_updated" ->
                overlapSeconds = message.optJSONObject("config")?.optDouble("overlap_duration", 0.0) ?: 0.0
        }
        // Not once `connected`: the audio may be what breaks each connection.
        hopeAgain(type == "detection_result" || unanswered.isEmpty())
    }

    private fun hopeAgain(isThere: Boolean) {
        if (!isThere) return
        lostAt = null
        pauseMillis = FIRST_PAUSE_MILLIS
    }

    /** Drops the samples of a frame of which the service has buffered nothing. */
    private fun refused(samples: Int) {
        val end = maxOf(0, unjudged.size - unanswered.sumOf { it.samples })
        val start = maxOf(0, end - samples)
        unjudged = unjudged.copyOfRange(0, start) + unjudged.copyOfRange(end, unjudged.size)
    }

    private fun judged(message: JSONObject) {
        val judged = windowsOf(message).map(origin::windowIn)
        val results = judged.map(::resultOf)
        val last = results.lastOrNull() ?: throw nonsense("a result without a window")
        windows += judged
        val next = last.endSeconds - overlapSeconds
        forget(Math.round((next - nextSeconds) * sampleRate).toInt())
        nextSeconds = next
        nextSequence = last.sequence + 1
        for (result in results) tell { onDetectionResult(result) }
        val unjudged = message.optString("error_message")
        if (unjudged.isNotEmpty()) tell { onError(BonafideException("unavailable", unjudged), false) }
    }

    private fun summed(message: JSONObject) {
        val summary = summaryOf(summaryAfter(earlier, origin.summaryIn(summaryIn(message))))
        finish()
        tell { onSummary(summary) }
    }

    /** Drops so many samples of each channel. */
    private fun forget(samples: Int) {
        val spare = samples.coerceIn(0, unjudged.size / channels)
        unjudged = unjudged.copyOfRange(spare * channels, unjudged.size)
        nextSeconds += spare.toDouble() / sampleRate
    }

    private fun lost(from: WebSocket, isFinal: Boolean, why: BonafideException, retryAfterMillis: Long = 0) = locked {
        if (isOver || from !== socket) return@locked
        socket = null // OkHttp may tell of one connection's end twice
        isOpen = false
        stopWatch()
        unanswered.clear() // it is all in `unjudged`
        val now = TimeUnit.NANOSECONDS.toMillis(System.nanoTime())
        val since = lostAt ?: now
        lostAt = since
        if (isFinal || now - since + retryAfterMillis > reconnectMillis) {
            return@locked fail(if (from === silent) BonafideException("unavailable", "no answer came for long") else why)
        }
        // Clients of a service that restarts do not all come back in the same moment.
        val pause = maxOf(pauseMillis, retryAfterMillis)
        timer.schedule(maxOf(retryAfterMillis, pause / 2) + Random.nextLong(pause / 2)) { reopen() }
        pauseMillis = minOf(2 * pauseMillis, LONGEST_PAUSE_MILLIS)
    }

    /** Ends the session with an error. */
    private fun fail(error: BonafideException) {
        finish()
        tell { onError(error, true) }
    }

    private fun finish() {
        isOver = true
        stopWatch()
        timer.cancel()
        socket?.close(1000, null)
    }

    /** On the timer's thread, on which nothing is told: what a callback throws would end it. */
    private fun reopen() = synchronized(lock) {
        if (!isOver && socket == null) open()
    }

    private fun startWatch() {
        if (watch == null && !isOver) watch = timer.schedule(answerMillis) { giveUp(this) }
    }

    private fun stopWatch() {
        watch?.cancel()
        watch = null
    }

    /** OkHttp then tells of the connection's end, on its own thread. */
    private fun giveUp(ringing: TimerTask) = synchronized(lock) {
        if (ringing !== watch) return@synchronized
        watch = null
        if (isTelling) return@synchronized startWatch() // the answer may have come, and wait for a callback to return
        silent = socket
        socket?.cancel()
    }

    private inner class Listener : WebSocketListener() {
        override fun onOpen(webSocket: WebSocket, response: Response) = opened(webSocket)

        override fun onMessage(webSocket: WebSocket, text: String) = received(webSocket, text)

        override fun onClosing(webSocket: WebSocket, code: Int, reason: String) {
            webSocket.close(1000, null)
            val final = FINAL_CLOSURES[code]
            val why = reason.ifEmpty { "closed with code $code" }
            lost(webSocket, final != null, BonafideException(final ?: "unavailable", why))
        }

        override fun onFailure(webSocket: WebSocket, t: Throwable, response: Response?) {
            if (response == null) return lost(webSocket, false, BonafideException("unavailable", t.toString()))
            val error = refusal(response)
            // NaN and what is no time fail this.
            val seconds = response.header("Retry-After")?.toDoubleOrNull()?.takeIf { it in 0.0..MOST_RETRY_SECONDS }
            lost(webSocket, error.code !in PASSING, error, (1000 * (seconds ?: 0.0)).toLong())
        }

        /** A refused handshake is an HTTP answer with the error as JSON, unless a proxy gave it. */
        private fun refusal(response: Response): BonafideException = try {
            errorOf(JSONObject(response.peekBody(MOST_REFUSAL_BYTES).string()).getJSONObject("error"))
        } catch (_: JSONException) {
            BonafideException(STATUS[response.code] ?: "invalid_request", "refused with status ${response.code}")
        } catch (error: IOException) {
            BonafideException("unavailable", "refused with status ${response.code}: $error")
        }
    }

    /** A frame that awaits its answer, and how many samples it holds. */
    private class Asked(val kind: String, val samples: Int)

    private companion object {
        val THIS_MACHINE = Regex("""localhost|127(\.\d{1,3}){3}|::1""")
        const val FIRST_PAUSE_MILLIS = 250L
        const val LONGEST_PAUSE_MILLIS = 5_000L
        const val KEPT_SECONDS = 30

        /** OkHttp closes a connection on which 16 MiB wait to be sent. */
        const val MOST_KEPT_SAMPLES = 3_000_000
        const val MOST_REFUSAL_BYTES = 65_536L
        const val MOST_RETRY_SECONDS = 86_400.0
        const val FRAME_SAMPLES = 65_536

        /** Exactly one of them for each frame. */
        val FITTING = mapOf(
            "connect" to setOf("connected"),
            "config" to setOf("config_updated"),
            "audio" to setOf("buffering", "detection_result"),
            "end" to setOf("summary"),
        )
        val ANSWERS = FITTING.values.flatten().toSet() + "error"

        /** With these a frame is refused before anything of it is buffered. */
        val NOT_HEARD = setOf("invalid_request", "too_large", "unreadable_media")

        /** Closures after which the same would only happen again. */
        val FINAL_CLOSURES = mapOf(
            1000 to "unavailable", 1002 to "internal", 1003 to "invalid_request", 1007 to "invalid_request",
            1008 to "unavailable", 1009 to "too_large",
        )

        /** Errors of a handshake after which another may succeed; and those of answers that a proxy gave. */
        val PASSING = setOf("overloaded", "unavailable", "deadline_exceeded")
        val STATUS = mapOf(
            401 to "unauthenticated", 403 to "forbidden", 429 to "overloaded",
            502 to "unavailable", 503 to "unavailable", 504 to "unavailable",
        )
    }
}
