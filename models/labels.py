"""Which class of a checkpoint means spoof, derived from its class names alone. Refuses rather than guesses.

A name is split into words. A word means spoof or bona fide only if it is one of the usual words as a whole, so
"unreliable" or "liveness" have no meaning; a negation right before it ("not", "isn't", "un...") inverts it, one
anywhere else makes the name undecided, as does a word that may negate ("can't", "failed", "nicht"), and a name whose
words contradict each other ("fake human") is refused.
"""

import logging
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from models.errors import AmbiguousLabels

logger = logging.getLogger(__name__)


class _Side(Enum):
    SPOOF = "spoof"
    BONAFIDE = "bona fide"

    @property
    def other(self) -> "_Side":
        return _Side.BONAFIDE if self is _Side.SPOOF else _Side.SPOOF


# fmt: off
_SPOOF_WORDS = (
    "spoof", "spoofs", "spoofed", "spoofing", "fake", "fakes", "faked", "deepfake", "deepfakes", "attack", "attacks",
    "synthetic", "synthesized", "synthesised", "ai", "generated", "artificial", "forged", "forgery", "manipulated",
    "tampered", "print", "printed", "replay", "replayed",
)
# fmt: on
_BONAFIDE_WORDS = ("bonafide", "real", "live", "genuine", "human", "authentic", "original")
_WORDS = dict.fromkeys(_SPOOF_WORDS, _Side.SPOOF) | dict.fromkeys(_BONAFIDE_WORDS, _Side.BONAFIDE)
_STEMS: dict[_Side, tuple[str, ...]] = {
    _Side.SPOOF: ("spoof", "fake", "attack", "synthetic", "forge", "replay"),
    _Side.BONAFIDE: ("bonafide", "real", "live", "genuine", "human", "authentic"),
}
_NEGATED_COPULAS = frozenset({"isnt", "arent", "wasnt", "werent", "aint"})
_NEGATIONS = frozenset({"not", "non", "no", "un", "never"}) | _NEGATED_COPULAS
_ARTICLES = frozenset({"a", "an", "the"})
_NOT = re.compile(r"not\s+(\S.*)", re.IGNORECASE | re.DOTALL)
# fmt: off
_NEGATED_AUXILIARIES = frozenset((
    "dont", "doesnt", "didnt", "hasnt", "havent", "hadnt", "cant", "couldnt", "wouldnt", "wont", "shouldnt", "mustnt",
    "mightnt", "maynt", "neednt", "oughtnt", "shant", "darent",
))
# Whether they negate a word is not known: "failed attack" is an attack, "failed real" is not real.
_DOUBTS = _NEGATED_AUXILIARIES | {
    "anti", "free", "less", "false", "without", "versus", "vs", "cannot", "nor", "neither", "none", "nt",
    "fail", "fails", "failed", "failing", "failure", "lack", "lacks", "lacking", "absent", "missing",
    "hardly", "barely", "unlikely", "invalid", "wrong", "incorrect",
    "bukan", "tidak", "не", "нет", "без", "nicht", "kein", "keine", "ohne", "pas", "sans", "sin", "senza", "niet",
    "geen",
}
# fmt: on
_DOUBTS_BEHIND = frozenset({"free", "less", "false"})
_SPLIT_CONTRACTION = re.compile(
    rf"\b({'|'.join(sorted(word[:-1] for word in _NEGATED_COPULAS | _NEGATED_AUXILIARIES))}) t\b"
)
"""What "isn't" becomes where its apostrophe is not the straight one, or is replaced: "isn_t"."""
_WORD = re.compile(r"[^\W\d_\u02b9\u02bb\u02bc\ua78c]+")
"""Letters, but for those that serve as apostrophes."""


@dataclass(frozen=True)
class SpoofRule:
    """How a score is computed from a model's class probabilities.

    P(spoof) is the probability of class `index`, or, when `inverted`, one minus it.

    Attributes:
        independent: each class has a probability of its own, the sigmoid of its logit; else they share one by softmax.
    """

    index: int
    inverted: bool = False
    independent: bool = False


def spoof_rule(
    id2label: Mapping[int, str], override: str | None = None, *, setting: str = "the spoof label setting"
) -> SpoofRule:
    """Decides how P(spoof) is computed from a model's outputs.

    One class (one logit): its sigmoid is P(spoof) if it is named spoof, one minus it if it is named bona fide. Two
    classes: the class that is named spoof, or the one beside the class that is named bona fide. More: one minus the
    only class that is named bona fide, provided that no other class could be meant as bona fide too.

    Args:
        id2label: class name by index, 0 to n-1.
        override: name (any case) or index of the class that means spoof, or `not` and that of the one that means bona
            fide; it overrides every name.
        setting: name of the setting that holds `override`, for messages.

    Raises:
        AmbiguousLabels: the names do not decide it, contradict each other, or the override names no class.
    """
    labels = _in_order(id2label)
    if override is not None and override.strip():
        return _overridden(labels, override.strip(), setting)
    sides = [_side(label) for label in labels]
    if len(labels) == 1:
        if sides[0] is None:
            raise _refusal(labels, "the name of its only class is no usual word for spoof or bona fide", setting)
        return SpoofRule(0, inverted=sides[0] is _Side.BONAFIDE)
    if len(labels) == 2:
        return _of_two(labels, sides, setting)
    bonafide = [index for index, side in enumerate(sides) if side is _Side.BONAFIDE]
    rest = [label for label, side in zip(labels, sides, strict=True) if side is None]
    if len(bonafide) != 1 or any(_may_mean(label, _Side.BONAFIDE) for label in rest):
        raise _refusal(labels, "not exactly one of them is named as bona fide", setting)
    return SpoofRule(bonafide[0], inverted=True)


def spoof_in_words(labels: Sequence[str], rule: SpoofRule) -> str:
    """Which class means spoof, by index and name; `labels` are empty for a single logit of spoof without a name."""
    if not labels:
        return "the only logit"
    named = f"{rule.index}: {labels[rule.index]}"
    if not rule.inverted:
        return named
    return f"everything but {named}" if len(labels) > 1 else f"the opposite of the only logit, {named}"


def contradicted(labels: Sequence[str], spoof: Collection[int]) -> str | None:
    """What the class names say against the indices that are said to mean spoof, in words; None: nothing."""
    for index, label in enumerate(labels):
        side = _side(label, strict=False)
        if side is not None and (side is _Side.SPOOF) != (index in spoof):
            return f"class {index} is named {label!r}, which means {side.value}"
    return None


def _in_order(id2label: Mapping[int, str]) -> list[str]:
    labels = {int(index): str(label) for index, label in id2label.items()}
    if not labels or sorted(labels) != list(range(len(labels))) or len(labels) != len(id2label):
        raise AmbiguousLabels(
            f"class names must be numbered from 0 without gaps, not {dict(id2label)}: correct id2label in config.json"
        )
    return [labels[index] for index in range(len(labels))]


def _overridden(labels: list[str], override: str, setting: str) -> SpoofRule:
    found = _named(labels, override)
    negated = _NOT.fullmatch(override)
    if not found and negated:
        found = _named(labels, negated[1])
    else:
        negated = None
    if len(found) != 1:
        reason = "more than one of them" if found else "none of them"
        raise AmbiguousLabels(
            f"{setting}={override!r} fits {reason}: {_listed(labels)}; name one of them, by its index if need be"
        )
    index = found.pop()
    against = _Side.SPOOF if negated else _Side.BONAFIDE
    if _side(labels[index], strict=False) is against:
        meaning = against.other.value
        logger.warning(
            "%s makes class %r mean %s, though its name says %s", setting, labels[index], meaning, against.value
        )
    if not negated:
        return SpoofRule(index)
    return SpoofRule(1 - index) if len(labels) == 2 else SpoofRule(index, inverted=True)


def _named(labels: list[str], name: str) -> set[int]:
    """The classes of this name, in any case, or of this index."""
    found = {index for index, label in enumerate(labels) if label.strip().casefold() == name.casefold()}
    if name.isdecimal() and int(name) < len(labels):
        found.add(int(name))
    return found


def _of_two(labels: list[str], sides: list[_Side | None], setting: str) -> SpoofRule:
    if sides[0] is not None and sides[0] is sides[1]:
        raise _refusal(labels, f"both are named as {sides[0].value}", setting)
    for index, side in enumerate(sides):
        other = 1 - index
        if side is None:
            continue
        if sides[other] is None and _may_mean(labels[other], side):
            raise _refusal(labels, f"{labels[other]!r} may mean {side.value} too", setting)
        return SpoofRule(index if side is _Side.SPOOF else other)
    raise _refusal(labels, "none of them is a usual word for spoof or bona fide", setting)


def _side(label: str, *, strict: bool = True) -> _Side | None:
    """The meaning of a name; None: undecided. A contradictory name is refused when `strict`."""
    words = _without_articles(label)
    negations = [index for index, word in enumerate(words) if word in _NEGATIONS]
    sides: set[_Side] = set()
    for index, word in enumerate(words):
        side, negated = _word_side(word)
        if side is None:
            continue
        if index - 1 in negations:
            negations.remove(index - 1)
            negated = not negated
        sides.add(side.other if negated else side)
    if negations or _DOUBTS.intersection(words):
        return None
    if len(sides) > 1:
        if not strict:
            return None
        raise AmbiguousLabels(
            f"the class name {label!r} says both spoof and bona fide; name the class that means spoof in the settings"
        )
    return sides.pop() if sides else None


def _word_side(word: str) -> tuple[_Side | None, bool]:
    """Side of a single word, and whether the word itself is negated, as "unreal" and "nonspoof" are."""
    if word in _WORDS:
        return _WORDS[word], False
    for prefix in ("non", "not", "un", "in"):
        if word.startswith(prefix) and word[len(prefix) :] in _WORDS:
            return _WORDS[word[len(prefix) :]], True
    return None, False


def _words(label: str) -> list[str]:
    """Splits at everything that is not a letter, and between a lower-case and an upper-case letter ("FakeVoice")."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", label.replace("'", ""))
    words = " ".join(_WORD.findall(spaced.casefold()))
    return re.sub(r"\bbona fide\b", "bonafide", _SPLIT_CONTRACTION.sub(r"\1t", words)).split()


def _without_articles(label: str) -> list[str]:
    return [word for word in _words(label) if word not in _ARTICLES]


def _may_mean(label: str, side: _Side) -> bool:
    """Whether an undecided name holds a stem of this side, or a word of the other side that may be negated."""
    letters = "".join(_words(label))
    if any(stem in letters for stem in _STEMS[side]):
        return True
    words = ["", *_without_articles(label), ""]
    return any(
        _WORDS.get(word) is side.other and (before in _DOUBTS | _NEGATIONS or behind in _DOUBTS_BEHIND)
        for before, word, behind in zip(words, words[1:], words[2:], strict=False)
    )


def _listed(labels: list[str]) -> str:
    return ", ".join(f"{index}: {label!r}" for index, label in enumerate(labels))


def _refusal(labels: list[str], reason: str, setting: str) -> AmbiguousLabels:
    return AmbiguousLabels(
        f"cannot tell which class means spoof: {reason} ({_listed(labels)}); "
        f"set {setting} to the name or index of the class that means spoof, "
        f"or to `not` and that of the one that means bona fide ({setting}='not {labels[0]}')"
    )
