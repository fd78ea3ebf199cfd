"""Makes the sample of modern synthesis: `python -m lab.training.data.voice_sample samples/call_modern.mp3`.

Piper's voice Joe (a VITS; voice and recordings CC0) says what the other two samples of a call say. It must be on PATH.
"""

import argparse
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import av

from lab.line.samples import RATE
from lab.training.data.packages import require_tools
from lab.training.data.voice_audio import decode
from lab.training.data.voice_tts import NEURAL_TOOLS, piper

WORDS = "And so, my fellow Americans, ask not what your country can do for you. Ask what you can do for your country."
_KBIT = 48


def make(out: Path) -> None:
    """Speaks `WORDS` and writes them as mp3, mono, 16 kHz."""
    require_tools({"piper": NEURAL_TOOLS["piper"]}, "pip install")
    with tempfile.TemporaryDirectory() as folder:
        sound = Path(folder, "sound.wav")
        command = [*piper(sound), "--length-scale", "1.2", "--sentence-silence", "0.6"]
        subprocess.run(command, input=WORDS, text=True, capture_output=True, check=True, timeout=120)
        samples = decode(sound)
    out.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(out), "w") as file:
        stream: Any = file.add_stream("libmp3lame", rate=RATE)
        stream.layout, stream.bit_rate = "mono", _KBIT * 1000
        formatter = av.AudioResampler(stream.format.name, "mono", RATE, stream.frame_size)
        frame = av.AudioFrame.from_ndarray(samples[None], "flt", "mono")
        frame.sample_rate = RATE
        for block in [*formatter.resample(frame), *formatter.resample(None)]:
            file.mux(stream.encode(block))
        file.mux(stream.encode(None))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m lab.training.data.voice_sample", description=__doc__)
    parser.add_argument("out", type=Path, help="mp3 to write")
    make(parser.parse_args().out)


if __name__ == "__main__":
    main()
