"""How fast one thread turns recordings into windows, per format: a markdown table on stdout."""

import argparse
import time

from bonafide.audio.decoding import MonoDecoder
from bonafide.audio.reader import AudioLimits, AudioReader
from tests.media import encode, encoder_rate, speech_like

LIMITS = AudioLimits(max_bytes=2**30, max_seconds=1e6, max_channels=16, max_sample_rate=192_000)


def cpu_seconds(data: bytes) -> tuple[float, float]:
    """CPU seconds of decoding alone, and of decoding and cutting into windows."""
    started = time.thread_time()
    for _ in MonoDecoder(data, LIMITS.max_channels, LIMITS.max_sample_rate).blocks():
        pass
    decoded = time.thread_time()
    for _ in AudioReader(data, LIMITS):
        pass
    return decoded - started, time.thread_time() - decoded


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--formats", nargs="+", default=["wav", "flac", "mp3", "opus", "m4a"], help="amr has one channel"
    )
    parser.add_argument("--rate", type=int, default=44_100, help="Hz, where the encoder has a choice")
    parser.add_argument("--channels", type=int, default=1, help="1, 2, 6 or 8")
    parser.add_argument("--seconds", type=float, default=60.0, help="length of the recording")
    parser.add_argument("--repeats", type=int, default=3, help="runs; the fastest counts")
    arguments = parser.parse_args()
    print("| format | rate, Hz | channels | file, kB | decoding, x real time | decoding and windows, x real time |")
    print("|---|---|---|---|---|---|")
    for kind in arguments.formats:
        rate = encoder_rate(kind, arguments.rate)
        data = encode(speech_like(arguments.seconds, rate, arguments.channels), rate, kind)
        runs = [cpu_seconds(data) for _ in range(arguments.repeats)]
        decoding, whole = (arguments.seconds / min(times) for times in zip(*runs, strict=True))
        print(f"| {kind} | {rate} | {arguments.channels} | {len(data) // 1000} | {decoding:.0f} | {whole:.0f} |")


if __name__ == "__main__":
    main()
