package bonafide

import java.util.concurrent.LinkedBlockingQueue
import java.util.concurrent.TimeUnit
import kotlin.concurrent.thread
import kotlin.system.exitProcess

private const val PATIENCE_S = 20L

/**
 * Streams so many seconds of silence to each address, one at a time, and prints what is told: `Told 3=URL...`.
 *
 * Within each callback another thread calls the client, and is waited for, as a user interface's thread may be.
 */
fun main(arguments: Array<String>) {
    for (argument in arguments) stream(argument.substringAfter('='), argument.substringBefore('=').toInt())
    exitProcess(0) // OkHttp's threads would linger
}

private fun stream(url: String, seconds: Int) {
    val told = LinkedBlockingQueue<String>()
    val client = AudioDetectionClient(url, answerMillis = 3_000)

    fun tell(what: String) {
        val caller = thread(isDaemon = true) { client.connect() }
        caller.join(TimeUnit.SECONDS.toMillis(2))
        told += if (caller.isAlive) "deadlock in $what" else what
    }
    client.onDetectionResult = { tell("window ${it.sequence} ${it.startSeconds} ${it.channel}") }
    client.onSummary = { tell("summary ${it.label} ${it.pSpoof} ${it.json}") }
    client.onError = { error, lost -> tell("error ${error.code} ${error.message} $lost") }
    client.connect()
    for (second in 0 until seconds) {
        client.sendAudioChunk(FloatArray(16_000))
        while (true) if (next(told).startsWith("window $second ")) break // the windows of several channels share a number
    }
    client.end()
    while (true) if (next(told).startsWith("summary")) break
}

private fun next(told: LinkedBlockingQueue<String>): String {
    val line = told.poll(PATIENCE_S, TimeUnit.SECONDS) ?: "nothing was told"
    println(line)
    if (line.startsWith("nothing") || line.startsWith("error") || line.startsWith("deadlock")) exitProcess(1)
    return line
}
