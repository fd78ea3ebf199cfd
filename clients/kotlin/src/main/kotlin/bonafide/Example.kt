package bonafide

import java.io.File
import java.util.concurrent.CountDownLatch
import javax.sound.sampled.AudioSystem
import kotlin.system.exitProcess

/** Streams a WAV file of 16-bit mono samples, about as fast as it plays: `Example ws://host:3000/ws/detect call.wav`. */
fun main(arguments: Array<String>) {
    if (arguments.size != 2) {
        println("usage: Example URL WAV")
        return
    }
    val (url, path) = arguments
    val client = AudioDetectionClient(url, apiKey = System.getenv("BONAFIDE_API_KEY"))
    val done = CountDownLatch(1)
    client.onDetectionResult = {
        println("window ${it.sequence} ${it.startSeconds} ${it.endSeconds} ${it.label} ${it.pSpoof} ${it.runningLabel}")
    }
    client.onSummary = {
        println("summary ${it.label} ${it.pSpoof} ${it.audioSeconds}")
        done.countDown()
    }
    client.onError = { error, lost ->
        println("error ${error.code} ${error.message}")
        if (lost) exitProcess(1)
    }
    client.connect()
    AudioSystem.getAudioInputStream(File(path)).use { sound ->
        val rate = sound.format.sampleRate.toInt()
        val block = ByteArray(2 * rate / 10)
        while (true) {
            val length = sound.readNBytes(block, 0, block.size)
            if (length == 0) break
            client.sendAudioChunk(FloatArray(length / 2) { shortAt(block, it) / 32768f }, rate)
            Thread.sleep(100)
        }
    }
    client.end()
    done.await()
    exitProcess(0) // OkHttp's threads would linger
}

private fun shortAt(bytes: ByteArray, index: Int): Short =
    ((bytes[2 * index + 1].toInt() shl 8) or (bytes[2 * index].toInt() and 0xff)).toShort()
