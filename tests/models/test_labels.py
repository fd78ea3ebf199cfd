import itertools
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import AmbiguousLabels
from models.labels import SpoofRule, contradicted, spoof_in_words, spoof_rule

# Names as checkpoints in the wild have them, each with what it means.
SPOOF_NAMES = [
    "spoof", "Spoof", "SPOOF", "spoofed", "fake", "Fake", "FAKE", "deepfake", "DeepFake", "Deep Fake", "deep-fake",
    "fake_voice", "FakeVoice", "fake audio", "attack", "replay attack", "print", "PrintAttack", "replay", "synthetic",
    "AI", "ai", "AI-generated", "ai_generated", "AIGenerated", "ai generated voice", "generated", "1_fake", "fake1",
    "not real", "not a real voice", "non-live", "nonlive", "non_bonafide", "not bona fide", "unreal", "isn't real",
    "inauthentic", "no human", "isn\u2019t real", "aren't real", "wasn\u2019t a real voice", "isn_t live",
]  # fmt: skip
BONAFIDE_NAMES = [
    "bonafide", "Bonafide", "BONAFIDE", "bona-fide", "bona_fide", "Bona Fide", "BonaFide", "real", "Real", "real_voice",
    "RealFace", "live", "Live", "LIVE", "live face", "genuine", "Genuine Speech", "human", "human voice", "authentic",
    "0_real", "real0", "not fake", "not a fake", "non-spoof", "nonspoof", "non_fake", "unspoofed", "no attack",
    "no spoof detected", "real, not fake", "isn\u2019t fake", "arent fake", "weren't spoofed", "wasn\u2018t_replayed",
]  # fmt: skip
_AUXILIARIES = [
    "is", "are", "was", "were", "ai", "do", "does", "did", "has", "have", "had", "ca", "could", "would", "wo", "should",
    "must", "might", "may", "need", "ought", "sha", "dare",
]  # fmt: skip
CONTRACTIONS = [
    f"{auxiliary}n{apostrophe}t"
    for auxiliary in _AUXILIARIES
    for apostrophe in ("'", "\u2019", "\u2018", "\u02bc", "\uff07", "`", "\ua78c", "", "_", " ")
]
NEGATIONS = [
    *CONTRACTIONS, "not", "non", "no", "never", "is not", "was not", "cannot", "can not", "nor", "neither", "none",
    "fail", "fails", "failed", "failing", "failure", "lacks", "lacking", "without", "absent", "missing",
    "hardly", "barely", "unlikely", "invalid", "wrong", "incorrect", "anti", "un", "ISN\u2019T", "Aren't", "is n't",
    "bukan", "tidak", "не", "нет", "без", "nicht", "kein", "keine", "pas", "sans", "sin", "senza", "niet", "geen",
]  # fmt: skip
"""What says the opposite of the word behind it, or may."""
NEUTRAL_NAMES = [
    "LABEL_0",
    "LABEL_1",
    "liveness",
    "class A",
    "0",
    "1",
    "positive",
    "negative",
    "x",
    "",
    "mask",
    "unknown",
]
SELF_CONTRADICTING = ["fake human", "real fake", "live attack", "human or AI", "not fake, not real", "spoof/bonafide"]


def read(*names: str) -> SpoofRule | None:
    """The rule, or None: the names are refused."""
    try:
        return spoof_rule(dict(enumerate(names)))
    except AmbiguousLabels:
        return None


# Lists of names are gone through within a test: a test of its own for each takes 10 ms, and what it tells is in the
# comparison.
@pytest.mark.parametrize("bonafide", ["bonafide", "real", "live"])
def test_each_spoof_name_is_found_in_both_orders(bonafide: str) -> None:
    assert {name: read(bonafide, name) for name in SPOOF_NAMES} == dict.fromkeys(SPOOF_NAMES, SpoofRule(1))
    assert {name: read(name, bonafide) for name in SPOOF_NAMES} == dict.fromkeys(SPOOF_NAMES, SpoofRule(0))


@pytest.mark.parametrize("spoof", ["spoof", "fake", "attack"])
def test_each_bonafide_name_is_found_in_both_orders(spoof: str) -> None:
    assert {name: read(name, spoof) for name in BONAFIDE_NAMES} == dict.fromkeys(BONAFIDE_NAMES, SpoofRule(1))
    assert {name: read(spoof, name) for name in BONAFIDE_NAMES} == dict.fromkeys(BONAFIDE_NAMES, SpoofRule(0))


@given(
    spoof=st.sampled_from(SPOOF_NAMES),
    bonafide=st.sampled_from(BONAFIDE_NAMES),
    swapped=st.booleans(),
    decorate=st.sampled_from(["{}", " {} ", "({})", "<{}>", "{}.", "class: {}", "{} (0.5)", "{}_01"]),
)
def test_order_alone_decides_the_index(spoof: str, bonafide: str, swapped: bool, decorate: str) -> None:
    names = [decorate.format(bonafide), decorate.format(spoof)]
    if swapped:
        names.reverse()
    assert spoof_rule(dict(enumerate(names))) == SpoofRule(0 if swapped else 1)


@given(first=st.sampled_from(SPOOF_NAMES), second=st.sampled_from(SPOOF_NAMES))
def test_two_spoof_names_are_refused(first: str, second: str) -> None:
    with pytest.raises(AmbiguousLabels, match="both are named as spoof"):
        spoof_rule({0: first, 1: second})


@given(first=st.sampled_from(BONAFIDE_NAMES), second=st.sampled_from(BONAFIDE_NAMES))
def test_two_bonafide_names_are_refused(first: str, second: str) -> None:
    with pytest.raises(AmbiguousLabels, match="both are named as bona fide"):
        spoof_rule({0: first, 1: second})


def test_names_that_say_nothing_are_refused_with_the_setting() -> None:
    for first, second in itertools.product(NEUTRAL_NAMES, NEUTRAL_NAMES):
        with pytest.raises(AmbiguousLabels, match="BONAFIDE_VOICE_SPOOF_LABEL"):
            spoof_rule({0: first, 1: second}, setting="BONAFIDE_VOICE_SPOOF_LABEL")


@pytest.mark.parametrize("neutral", NEUTRAL_NAMES)
def test_one_telling_name_of_two_is_enough(neutral: str) -> None:
    assert spoof_rule({0: "spoof", 1: neutral}) == SpoofRule(0)
    assert spoof_rule({0: neutral, 1: "spoof"}) == SpoofRule(1)
    if neutral != "liveness":  # it holds "live", so beside "live" it may be the same class
        assert spoof_rule({0: "live", 1: neutral}) == SpoofRule(1)
        assert spoof_rule({0: neutral, 1: "live"}) == SpoofRule(0)


@pytest.mark.parametrize(
    ("telling", "other"),
    [
        ("spoof", "spoof-free"),
        ("spoof", "anti-spoof"),
        ("spoof", "spoof_false"),
        ("fake", "fakery"),
        ("fake", "FAKEaudio"),
        ("attack", "attacker-less"),
        ("real", "realistic"),
        ("real", "not a very real voice"),
        ("live", "liveness"),
        ("live", "live: no"),
        ("human", "humanoid"),
    ],
)
def test_the_other_name_must_not_hint_at_the_same_class(telling: str, other: str) -> None:
    for labels in ({0: telling, 1: other}, {0: other, 1: telling}):
        with pytest.raises(AmbiguousLabels):
            spoof_rule(labels)


@pytest.mark.parametrize("name", SELF_CONTRADICTING)
def test_a_name_at_odds_with_itself_is_refused(name: str) -> None:
    with pytest.raises(AmbiguousLabels, match="both spoof and bona fide"):
        spoof_rule({0: name, 1: "spoof"})


@given(
    negation=st.sampled_from([*NEGATIONS, "failed as", "cannot be"]),
    article=st.sampled_from(["", "a ", "the "]),
    spoof=st.sampled_from(["fake", "spoof", "AI", "generated", "replay"]),
    bonafide=st.sampled_from(["real", "live", "bona fide", "human"]),
)
def test_negated_names_are_read_as_negated_or_refused(negation: str, article: str, spoof: str, bonafide: str) -> None:
    not_spoof, not_bonafide = f"{negation} {article}{spoof}", f"{negation} {article}{bonafide}"
    assert read(not_spoof, not_bonafide) in (SpoofRule(1), None)
    assert read(not_bonafide, not_spoof) in (SpoofRule(0), None)
    assert read(not_spoof, spoof) in (SpoofRule(1), None)
    assert read(not_bonafide, bonafide) in (SpoofRule(0), None)
    assert read(not_spoof) in (SpoofRule(0, inverted=True), None)
    assert read(not_bonafide) in (SpoofRule(0), None)
    assert contradicted([not_spoof, not_bonafide], {1}) is None


@pytest.mark.parametrize("others", [("{} fake", "real"), ("{} real", "fake"), ("print", "live", "{} fake")])
def test_what_may_say_the_same_as_the_other_name_is_refused(others: tuple[str, ...]) -> None:
    told = {negation: read(*(other.format(negation) for other in others)) for negation in NEGATIONS}
    assert told == dict.fromkeys(NEGATIONS)


@pytest.mark.parametrize("name", ["spoof-free", "attack less", "spoof_false", "anti-spoof"])
def test_so_is_what_is_negated_behind_the_word(name: str) -> None:
    assert read(name) is None
    assert read("real", name) is None
    assert read("print", "live", name) is None


@pytest.mark.parametrize(
    "attack", ["attack without mask", "no-glasses attack", "never seen attack", "mask without eyes"]
)
def test_a_negation_of_another_word_leaves_the_other_name_to_decide(attack: str) -> None:
    assert read(attack, "live") == SpoofRule(0)
    assert read("print", "live", attack) == SpoofRule(1, inverted=True)


@pytest.mark.parametrize("name", ["aren't fake", "isn\u2019t fake", "not fake"])
def test_a_manifest_may_not_say_otherwise_than_a_negated_name(name: str) -> None:
    assert contradicted([name, "other"], {1}) is None
    assert contradicted([name, "other"], {0}) == f"class 0 is named {name!r}, which means bona fide"


def test_words_count_only_as_a_whole() -> None:
    with pytest.raises(AmbiguousLabels):
        spoof_rule({0: "delivery", 1: "italics"})  # neither "live" nor "ai"
    with pytest.raises(AmbiguousLabels):
        spoof_rule({0: "realm", 1: "fingerprint"})


@given(labels=st.tuples(st.text(max_size=20), st.text(max_size=20)))
def test_any_two_names_give_opposite_answers_in_opposite_orders_or_none(labels: tuple[str, str]) -> None:
    def ask(first: str, second: str) -> int | None:
        try:
            return spoof_rule({0: first, 1: second}).index
        except AmbiguousLabels:
            return None

    forward, backward = ask(*labels), ask(*reversed(labels))
    if forward is None:
        assert backward is None
    else:
        assert backward == 1 - forward


class TestOverride:
    def test_by_name_in_any_case(self) -> None:
        assert spoof_rule({0: "LABEL_0", 1: "LABEL_1"}, "label_1") == SpoofRule(1)
        assert spoof_rule({0: "Class A", 1: "Class B"}, " class a ") == SpoofRule(0)

    def test_by_index(self) -> None:
        assert spoof_rule({0: "LABEL_0", 1: "LABEL_1"}, "0") == SpoofRule(0)
        assert spoof_rule({0: "LABEL_0", 1: "LABEL_1"}, "1") == SpoofRule(1)

    def test_wins_over_names_and_says_so(self, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.WARNING):
            assert spoof_rule({0: "live", 1: "spoof"}, "live") == SpoofRule(0)
        assert "'live' mean spoof" in caplog.text

    def test_resolves_a_name_at_odds_with_itself(self) -> None:
        assert spoof_rule({0: "fake human", 1: "x"}, "fake human") == SpoofRule(0)

    def test_empty_is_no_override(self) -> None:
        assert spoof_rule({0: "live", 1: "spoof"}, "") == SpoofRule(1)
        assert spoof_rule({0: "live", 1: "spoof"}, "  ") == SpoofRule(1)

    def test_may_name_what_is_bonafide(self) -> None:
        assert spoof_rule({0: "LABEL_0", 1: "LABEL_1"}, "not LABEL_0") == SpoofRule(1)
        assert spoof_rule({0: "LABEL_0", 1: "LABEL_1"}, "not 1") == SpoofRule(0)
        assert spoof_rule({0: "a", 1: "b", 2: "c"}, "not b") == SpoofRule(1, inverted=True)

    def test_a_class_that_is_called_so_comes_first(self) -> None:
        assert spoof_rule({0: "not a", 1: "a"}, "not a") == SpoofRule(0)

    def test_of_what_is_bonafide_says_so_if_the_name_does_not(self, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.WARNING):
            assert spoof_rule({0: "spoof"}, "not spoof") == SpoofRule(0, inverted=True)
        assert "'spoof' mean bona fide, though its name says spoof" in caplog.text

    @pytest.mark.parametrize("override", ["spof", "2", "-1", "LABEL", "None", "not", "not 2", "not spof", "notlive"])
    def test_that_fits_nothing_is_refused(self, override: str) -> None:
        with pytest.raises(AmbiguousLabels, match="fits none of them"):
            spoof_rule({0: "live", 1: "spoof"}, override)

    def test_that_fits_two_is_refused(self) -> None:
        with pytest.raises(AmbiguousLabels, match="more than one"):
            spoof_rule({0: "1", 1: "0"}, "1")
        with pytest.raises(AmbiguousLabels, match="more than one"):
            spoof_rule({0: "A", 1: "a"}, "a")


class TestOneClass:
    @pytest.mark.parametrize("name", ["spoof", "P(fake)", "not real"])
    def test_its_logit_means_spoof_if_it_is_named_so(self, name: str) -> None:
        assert spoof_rule({0: name}) == SpoofRule(0)

    @pytest.mark.parametrize("name", ["live", "bonafide", "P(real)", "not fake"])
    def test_or_bonafide_if_it_is_named_so(self, name: str) -> None:
        assert spoof_rule({0: name}) == SpoofRule(0, inverted=True)

    @pytest.mark.parametrize("name", ["LABEL_0", "score", "liveness", "realness", "spoof-free", ""])
    def test_any_other_name_is_refused_with_the_setting(self, name: str) -> None:
        with pytest.raises(AmbiguousLabels, match=r"set BONAFIDE_FACE_SPOOF_LABEL to .*='not "):
            spoof_rule({0: name}, setting="BONAFIDE_FACE_SPOOF_LABEL")

    @pytest.mark.parametrize(
        ("override", "inverted"),
        [("0", False), ("label_0", False), ("not 0", True), ("not LABEL_0", True), ("NOT  label_0", True)],
    )
    def test_until_the_setting_tells_which(self, override: str, inverted: bool) -> None:
        assert spoof_rule({0: "LABEL_0"}, override) == SpoofRule(0, inverted=inverted)


class TestManyClasses:
    def test_spoof_is_everything_but_the_only_bonafide_class(self) -> None:
        assert spoof_rule({0: "print", 1: "live", 2: "replay"}) == SpoofRule(1, inverted=True)
        assert spoof_rule({0: "A1", 1: "A2", 2: "bona-fide", 3: "A3"}) == SpoofRule(2, inverted=True)

    @pytest.mark.parametrize(
        "names",
        [("print", "mask", "replay"), ("live", "real", "spoof"), ("live", "liveness", "spoof"), ("a", "b", "c")],
    )
    def test_refused_without_exactly_one(self, names: tuple[str, ...]) -> None:
        with pytest.raises(AmbiguousLabels):
            spoof_rule(dict(enumerate(names)))

    def test_override_names_the_spoof_class(self) -> None:
        assert spoof_rule({0: "a", 1: "b", 2: "c"}, "b") == SpoofRule(1)


@pytest.mark.parametrize("labels", [{}, {1: "spoof"}, {1: "real", 2: "spoof"}, {0: "real", 2: "spoof"}])
def test_indices_must_be_complete(labels: dict[int, str]) -> None:
    with pytest.raises(AmbiguousLabels, match="numbered from 0"):
        spoof_rule(labels)


@pytest.mark.parametrize(
    ("labels", "rule", "told"),
    [
        ([], SpoofRule(0), "the only logit"),
        (["fake"], SpoofRule(0), "0: fake"),
        (["real"], SpoofRule(0, inverted=True), "the opposite of the only logit, 0: real"),
        (["live", "spoof"], SpoofRule(1), "1: spoof"),
        (["print", "live", "replay"], SpoofRule(1, inverted=True), "everything but 1: live"),
    ],
)
def test_which_class_means_spoof_is_told_by_its_name(labels: list[str], rule: SpoofRule, told: str) -> None:
    assert spoof_in_words(labels, rule) == told
