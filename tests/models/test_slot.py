"""A model takes another one's place: at once, and not at all if it cannot be loaded."""

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from models.errors import ModelBusy, NoMemory, UnsupportedModel
from models.slot import KEEP_PREPARED_S, KEEP_UNUSED_S, Loaded, ModelSlot
from tests.bonafide.fakes import MODEL


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Models:
    """Any reference but `bad` is a model of this version; `large` does not fit, `broken` raises what nobody expects."""

    def load(self, reference: str, spoof_label: str | None) -> Loaded:
        if reference == "bad":
            raise UnsupportedModel("it is no model")
        if reference == "broken":
            raise ZeroDivisionError
        return Loaded(replace(MODEL, name=reference, version=reference), lambda items: [spoof_label] * len(items))

    def admit(self, reference: str, spoof_label: str | None) -> None:
        if reference == "large":
            raise NoMemory("it does not fit")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def slot(clock: Clock) -> ModelSlot:
    slot = ModelSlot(Models(), keep_s=600, clock=clock)
    slot.fill("a", None)
    return slot


def name(loaded: Loaded | None) -> str | None:
    return loaded.info.name if loaded else None


def fingerprint(version: str) -> str:
    return replace(MODEL, version=version).fingerprint


def test_the_new_one_takes_the_place_and_the_old_one_is_kept_while_it_is_asked_for(
    slot: ModelSlot, clock: Clock
) -> None:
    assert slot.prepare("b", None).name == "b"
    assert (name(slot.current), name(slot.previous)) == ("a", None)
    assert slot.activate(fingerprint("b"))
    assert (name(slot.current), name(slot.previous)) == ("b", "a")
    clock.now += KEEP_UNUSED_S - 1
    slot.expire()
    assert name(slot.asked_for_previous()) == "a"
    clock.now += KEEP_UNUSED_S - 1
    slot.expire()
    assert name(slot.previous) == "a"
    clock.now += 1
    slot.expire()
    assert slot.previous is None
    assert slot.asked_for_previous() is None


def test_it_is_not_kept_for_ever(slot: ModelSlot, clock: Clock) -> None:
    slot.prepare("b", None)
    slot.activate(fingerprint("b"))
    for _ in range(12):
        assert slot.asked_for_previous() is not None
        clock.now += 50
        slot.expire()
    assert slot.asked_for_previous() is None


def test_what_cannot_be_loaded_changes_nothing(slot: ModelSlot) -> None:
    for reference, error in (("large", NoMemory), ("broken", UnsupportedModel), ("bad", UnsupportedModel)):
        with pytest.raises(error):
            slot.prepare(reference, None)
    assert not slot.activate(fingerprint("bad"))
    assert (name(slot.current), name(slot.previous)) == ("a", None)
    slot.prepare("b", None)
    assert not slot.activate(fingerprint("c"))
    assert not slot.activate(fingerprint("b")), "what was refused once is let go"
    assert name(slot.current) == "a"


def test_the_same_model_once_more_is_no_replacement(slot: ModelSlot) -> None:
    slot.prepare("a", None)
    assert slot.activate(fingerprint("a"))
    assert (name(slot.current), name(slot.previous)) == ("a", None)


def test_one_at_a_time(clock: Clock) -> None:
    loading, go_on = threading.Event(), threading.Event()

    class Slow(Models):
        def load(self, reference: str, spoof_label: str | None) -> Loaded:
            if reference == "slow":
                loading.set()
                assert go_on.wait(10)
            return super().load(reference, spoof_label)

    slot = ModelSlot(Slow(), keep_s=600, clock=clock)
    slot.fill("a", None)
    thread = threading.Thread(target=slot.prepare, args=("slow", None))
    thread.start()
    assert loading.wait(10)
    with pytest.raises(ModelBusy, match="being loaded"):
        slot.prepare("b", None)
    go_on.set()
    thread.join()
    with pytest.raises(ModelBusy, match="about to take the place"):
        slot.prepare("b", None)  # who had it loaded waits for other replicas
    assert slot.activate(fingerprint("slow"))
    with pytest.raises(ModelBusy, match="still go on"):
        slot.prepare("b", None)
    clock.now += KEEP_UNUSED_S
    slot.expire()
    assert slot.prepare("b", None).name == "b"


def test_what_nobody_puts_in_its_place_is_let_go(slot: ModelSlot, clock: Clock) -> None:
    """As where the process that asked for it has ended."""
    slot.prepare("b", None)
    clock.now += KEEP_PREPARED_S - 1
    slot.expire()
    with pytest.raises(ModelBusy):
        slot.prepare("c", None)
    clock.now += 1
    slot.expire()
    assert not slot.activate(fingerprint("b"))
    assert slot.prepare("c", None).name == "c"
    assert slot.activate(fingerprint("c"))


def test_a_slot_that_was_never_filled_takes_a_model() -> None:
    slot = ModelSlot(Models(), keep_s=600)
    with pytest.raises(UnsupportedModel):
        slot.fill("bad", None)
    assert slot.current is None
    slot.prepare("b", None)
    assert slot.activate(fingerprint("b"))
    assert (name(slot.current), name(slot.previous)) == ("b", None)


def test_a_process_that_follows_one_that_died_has_its_model(tmp_path: Path) -> None:
    note = tmp_path / "note"
    first = ModelSlot(Models(), keep_s=600, note=note)
    first.fill("a", None)
    assert not note.exists()
    first.prepare("b", "fake")
    first.activate(fingerprint("b"))
    second = ModelSlot(Models(), keep_s=600, note=note)
    second.fill("a", None)
    assert second.current is not None
    assert (name(second.current), second.current.judge([1])) == ("b", ["fake"])
    note.write_text('["bad", null]')
    third = ModelSlot(Models(), keep_s=600, note=note)
    third.fill("a", None)
    assert name(third.current) == "a"


def test_the_one_before_is_back_at_once(slot: ModelSlot, clock: Clock) -> None:
    assert slot.current is not None
    first = slot.current
    slot.prepare("b", None)
    slot.activate(fingerprint("b"))
    with pytest.raises(ModelBusy):
        slot.prepare("a", "another label")
    assert slot.prepare("a", None) == first.info
    assert slot.activate(fingerprint("a"))
    assert slot.current is first
    assert name(slot.previous) == "b"
    assert slot.prepare("b", None).name == "b"
    assert slot.activate(fingerprint("b"))
    assert (name(slot.current), name(slot.previous)) == ("b", "a")


def test_one_reference_whose_files_have_changed_puts_nothing_older_in_its_place(clock: Clock) -> None:
    """As of a link to the newest model, or of a folder that got another calibration."""

    class Newest(Models):
        target = "v1"

        def load(self, reference: str, spoof_label: str | None) -> Loaded:
            return super().load(self.target, spoof_label)

    models = Newest()
    slot = ModelSlot(models, keep_s=600, clock=clock)
    slot.fill("newest", None)
    models.target = "v2"
    slot.prepare("newest", None)
    assert slot.activate(fingerprint("v2"))
    with pytest.raises(ModelBusy, match="still go on"):
        slot.prepare("newest", None)  # such as a request that is sent again
    assert not slot.activate(fingerprint("v1"))
    assert name(slot.current) == "v2"
    clock.now += KEEP_UNUSED_S
    slot.expire()
    models.target = "v3"
    assert slot.prepare("newest", None).name == "v3"


def test_a_note_that_cannot_be_written_is_no_failure(tmp_path: Path) -> None:
    slot = ModelSlot(Models(), keep_s=600, note=tmp_path / "none" / "note")
    slot.fill("a", None)
    slot.prepare("b", None)
    assert slot.activate(fingerprint("b"))
    assert name(slot.current) == "b"
