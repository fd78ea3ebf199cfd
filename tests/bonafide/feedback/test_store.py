"""The store on SQLite, and on a real PostgreSQL where its server and the driver are installed."""

import asyncio
import sqlite3
import stat
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from bonafide.errors import InvalidRequest, ObjectNotFound, Unavailable
from bonafide.feedback import store
from bonafide.feedback.database import Database, DatabaseFailed, Row
from bonafide.feedback.store import Feedback, KeptVerdict, labelled_verdicts

VERDICT = KeptVerdict(
    request_id="r-1",
    caller="",
    at=0.0,
    task="voice",
    task_id="t-1",
    source="object",
    reference="calls/a.wav",
    sha256="",
    label="spoof",
    score=0.75,
    threshold=0.5,
    model="m",
    version="v",
    transport="http",
    codec="wav",
)


def verdict(request_id: str, **changes: object) -> KeptVerdict:
    return replace(VERDICT, request_id=request_id, **({"at": time.time()} | changes))  # type: ignore[arg-type]


@pytest.fixture
async def feedback(location: str) -> AsyncIterator[Feedback]:
    made = Feedback(Database(location), keep_s=1000.0, most=100, failed=lambda: None)
    yield made
    await made.close()


async def test_the_truth_is_told_about_a_kept_verdict(feedback: Feedback, location: str) -> None:
    await feedback.keep(verdict("r-1"))
    await feedback.keep(verdict("r-2"))
    assert await feedback.tell("r-1", "bonafide", "the caller\nproved it\0", "") == "spoof"
    with Database(location) as database:
        (told,) = labelled_verdicts(database, "voice")
        assert not labelled_verdicts(database, "face")
    assert (told.request_id, told.truth, told.is_spoof, told.label) == ("r-1", "bonafide", False, "spoof")
    assert (told.note, told.reference, told.score) == ("the caller proved it ", "calls/a.wav", 0.75)
    assert await feedback.tell("r-1", "spoof", "", "") == "spoof"
    with Database(location) as database:
        assert [(each.truth, each.note) for each in labelled_verdicts(database, "voice")] == [("spoof", "")]


async def test_a_verdict_without_a_score_and_photos(feedback: Feedback) -> None:
    await feedback.keep(verdict("silent", score=None, label="no_speech"))
    await feedback.keep(verdict("photo", task="face", label="live"))
    assert await feedback.tell("silent", "spoof", "", "") == "no_speech"
    with pytest.raises(InvalidRequest, match="live or fake"):
        await feedback.tell("photo", "spoof", "", "")
    assert await feedback.tell("photo", "fake", "", "") == "live"


async def test_verdicts_of_another_caller_are_not_known(feedback: Feedback) -> None:
    await feedback.keep(verdict("r-1", caller="bank"))
    for caller in ("", "other"):
        with pytest.raises(ObjectNotFound):
            await feedback.tell("r-1", "spoof", "", caller)
    assert await feedback.tell("r-1", "spoof", "", "bank") == "spoof"


async def test_a_request_id_that_comes_again_names_the_newer_verdict(feedback: Feedback, location: str) -> None:
    await feedback.keep(verdict("r-1"))
    await feedback.tell("r-1", "spoof", "", "")
    await feedback.keep(verdict("r-1", label="bonafide"))
    with Database(location) as database:
        assert not labelled_verdicts(database, "voice")
    assert await feedback.tell("r-1", "bonafide", "", "") == "bonafide"


async def test_verdicts_come_in_the_order_in_which_the_truth_was_told(feedback: Feedback, location: str) -> None:
    now = time.time()
    for number, request_id in enumerate(("monday", "tuesday", "wednesday")):
        await feedback.keep(verdict(request_id, at=now - 10 + number))
    for request_id in ("wednesday", "monday", "tuesday", "monday"):
        await feedback.tell(request_id, "spoof", "", "")
    with Database(location) as database:
        told = [each.request_id for each in labelled_verdicts(database, "voice")]
    assert told == ["wednesday", "tuesday", "monday"]


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ("UPDATE bonafide_verdicts SET task = 'face', label = 'live'", InvalidRequest),
        ("DELETE FROM bonafide_verdicts", ObjectNotFound),
    ],
)
async def test_the_truth_is_not_put_beside_another_verdict_that_comes_meanwhile(
    feedback: Feedback, location: str, change: str, error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process keeps one of the other task under the same request id, or lets go of the first."""
    await feedback.keep(verdict("r-1"))
    with Database(location) as other:
        execute = feedback._database.execute

        def meanwhile(*statements: tuple[str, Sequence[object]]) -> list[Row]:
            if statements[0][0].startswith("UPDATE"):
                other.execute((change, ()))
            return execute(*statements)

        monkeypatch.setattr(feedback._database, "execute", meanwhile)
        with pytest.raises(error):
            await feedback.tell("r-1", "spoof", "", "")
        assert not other.execute(("SELECT 1 FROM bonafide_verdicts WHERE truth IS NOT NULL", ()))


async def test_a_truth_of_the_other_task_is_not_read_as_its_opposite(feedback: Feedback, location: str) -> None:
    await feedback.keep(verdict("photo", task="face", label="live"))
    with Database(location) as database:
        database.execute(("UPDATE bonafide_verdicts SET truth = 'spoof', truth_at = 1", ()))
        with pytest.raises(ValueError, match="photo is 'spoof'"):
            labelled_verdicts(database, "face")


@pytest.mark.parametrize("label", ["", "real", "SPOOF", "no_speech", "x" * 100_000, "';--"])
async def test_other_labels_are_refused(feedback: Feedback, label: str) -> None:
    await feedback.keep(verdict("r-1"))
    with pytest.raises(InvalidRequest):
        await feedback.tell("r-1", label, "", "")


async def test_a_note_is_bounded(feedback: Feedback) -> None:
    await feedback.keep(verdict("r-1"))
    with pytest.raises(InvalidRequest, match="1000"):
        await feedback.tell("r-1", "spoof", "x" * 1001, "")


@pytest.mark.parametrize("given", [("", "spoof"), ("r-1", ""), ("", "")])
async def test_both_fields_are_needed(feedback: Feedback, given: tuple[str, str]) -> None:
    with pytest.raises(InvalidRequest, match="must both be set"):
        await feedback.tell(*given, "", "")


@pytest.mark.parametrize("name", ["unknown", "\0", "x" * 10_000, "' OR 1=1 --"])
async def test_an_unknown_request_id_is_not_found(feedback: Feedback, name: str) -> None:
    await feedback.keep(verdict("r-1"))
    with pytest.raises(ObjectNotFound):
        await feedback.tell(name, "spoof", "", "")


async def test_what_is_too_old_or_too_much_is_let_go(location: str) -> None:
    first = Feedback(Database(location), keep_s=1000.0, most=100, failed=lambda: None)
    now = time.time()
    for index in range(5):
        await first.keep(verdict(f"r-{index}", at=now - 10 + index))
    await first.keep(verdict("old", at=now - 2000))
    with pytest.raises(ObjectNotFound):
        await first.tell("old", "spoof", "", "")
    await first.close()
    second = Feedback(Database(location), keep_s=1000.0, most=2, failed=lambda: None)
    assert await second.tell("r-4", "spoof", "", "") == "spoof"
    with Database(location) as database:
        rows = database.execute(("SELECT request_id FROM bonafide_verdicts ORDER BY at", ()))
    assert rows == [("r-3",), ("r-4",)]
    await second.close()


async def test_what_is_too_old_is_let_go_while_no_verdict_comes(location: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_PRUNE_EVERY_S", 0.02)
    first = Feedback(Database(location), keep_s=1000.0, most=100, failed=lambda: None)
    await first.keep(verdict("young"))
    await first.close()
    with Database(location) as database:

        async def left(expected: list[Row]) -> None:
            async with asyncio.timeout(30):
                while database.execute(("SELECT request_id FROM bonafide_verdicts", ())) != expected:
                    await asyncio.sleep(0.01)

        age = "UPDATE bonafide_verdicts SET at = at - 2000"
        database.execute((age, ()))
        idle = Feedback(Database(location), keep_s=1000.0, most=100, failed=lambda: None)
        idle.start()
        await left([])
        await idle.keep(verdict("young"))
        await left([("young",)])
        database.execute((age, ()))
        await left([])
        await idle.close()


async def test_a_database_that_fails_at_the_start_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(store, "_PRUNE_EVERY_S", 0.02)
    (tmp_path / "folder").write_text("")
    feedback = Feedback(Database(str(tmp_path / "folder" / "db")), keep_s=1000.0, most=100, failed=lambda: None)
    feedback.start()
    async with asyncio.timeout(30):
        while "old verdicts are not let go of" not in caplog.text:
            await asyncio.sleep(0.01)
        (tmp_path / "folder").unlink()
        while not (tmp_path / "folder" / "db").exists():
            await asyncio.sleep(0.01)
    await feedback.close()


async def test_several_processes_write_to_one_database(location: str) -> None:
    stores = [Feedback(Database(location), keep_s=1000.0, most=1000, failed=lambda: None) for _ in range(3)]
    await stores[0].keep(verdict("first"))
    await asyncio.gather(*[stores[n % 3].keep(verdict(f"r-{n}")) for n in range(60)])
    with Database(location) as database:
        assert database.execute(("SELECT COUNT(*) FROM bonafide_verdicts", ())) == [(61,)]
    for each in stores:
        await each.close()


async def test_a_database_that_fails_costs_no_verdict(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    failures: list[int] = []
    broken = Database(str(tmp_path / "file" / "db"))
    feedback = Feedback(broken, keep_s=1000.0, most=100, failed=lambda: failures.append(1))
    await feedback.keep(verdict("r-1"))
    assert failures == [1]
    with pytest.raises(Unavailable):
        await feedback.tell("r-1", "spoof", "", "")
    (tmp_path / "file").unlink()
    await feedback.keep(verdict("r-1"))
    assert await feedback.tell("r-1", "spoof", "", "") == "spoof"
    await feedback.close()


@pytest.fixture
def held(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A writer of the file `db` whose transaction lasts until it is closed."""
    with Database(str(tmp_path / "db")) as database:
        database.execute(("SELECT 1", ()))
    with closing(sqlite3.connect(tmp_path / "db", isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        yield writer


def waiting_for(tmp_path: Path, limit_s: float, failures: list[int] | None = None) -> Feedback:
    database = Database(str(tmp_path / "db"), limit_s=limit_s)
    count = (lambda: None) if failures is None else (lambda: failures.append(1))
    return Feedback(database, keep_s=1000.0, most=100, failed=count)


async def test_answers_do_not_wait_for_a_database_that_hangs(tmp_path: Path, held: sqlite3.Connection) -> None:
    failures: list[int] = []
    feedback = waiting_for(tmp_path, 20.0, failures)
    began = time.monotonic()
    await asyncio.gather(*[feedback.keep(verdict(f"r-{n}")) for n in range(10)])
    assert time.monotonic() - began < 10.0
    told = asyncio.create_task(feedback.tell("r-9", "spoof", "", ""))
    await asyncio.sleep(0.1)
    held.close()
    assert await told == "spoof"  # what was kept before is found
    assert not failures
    await feedback.close()


async def test_an_outage_is_logged_once_and_each_verdict_counted(
    tmp_path: Path, held: sqlite3.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    failures: list[int] = []
    feedback = waiting_for(tmp_path, 1.0, failures)
    began = time.monotonic()
    await asyncio.gather(*[feedback.keep(verdict(f"r-{n}")) for n in range(20)])
    with pytest.raises(Unavailable):
        await feedback.tell("r-0", "spoof", "", "")
    assert time.monotonic() - began < 15.0
    assert len(failures) == 20
    assert caplog.text.count("not kept") == 1
    held.close()
    async with asyncio.timeout(30):
        while "kept for feedback again" not in caplog.text:
            await feedback.keep(verdict("later"))
            await asyncio.sleep(0.1)
    assert await feedback.tell("later", "spoof", "", "") == "spoof"
    await feedback.close()


async def test_verdicts_that_wait_are_bounded(
    tmp_path: Path, held: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "_MAX_WAITING", 3)
    failures: list[int] = []
    feedback = waiting_for(tmp_path, 60.0, failures)
    await asyncio.gather(*[feedback.keep(verdict(f"r-{n}")) for n in range(5)])
    assert len(failures) == 2
    held.close()
    assert await feedback.tell("r-2", "spoof", "", "") == "spoof"
    with pytest.raises(ObjectNotFound):
        await feedback.tell("r-3", "spoof", "", "")
    await feedback.close()


async def test_leaving_does_not_wait_for_ever(tmp_path: Path, held: sqlite3.Connection) -> None:
    failures: list[int] = []
    feedback = waiting_for(tmp_path, 60.0, failures)
    await asyncio.gather(*[feedback.keep(verdict(f"r-{n}")) for n in range(3)])
    began = time.monotonic()
    await feedback.close(within_s=0.1)
    assert time.monotonic() - began < 30.0
    assert len(failures) == 3


async def test_what_waits_is_kept_before_leaving(tmp_path: Path, held: sqlite3.Connection) -> None:
    feedback = waiting_for(tmp_path, 60.0)
    await asyncio.gather(*[feedback.keep(verdict(f"r-{n}")) for n in range(3)])
    leaving = asyncio.create_task(feedback.close(within_s=30.0))
    await asyncio.sleep(0.1)
    held.close()
    await leaving
    with Database(str(tmp_path / "db")) as database:
        assert database.execute(("SELECT COUNT(*) FROM bonafide_verdicts", ())) == [(3,)]


async def test_a_bug_costs_no_verdict_and_is_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    failures: list[int] = []
    feedback = waiting_for(tmp_path, 1.0, failures)
    monkeypatch.setattr(feedback, "_prepare", None)
    await feedback.keep(verdict("r-1"))
    assert failures == [1]
    assert "TypeError" in caplog.text
    await feedback.close()


async def test_much_that_is_too_old_is_let_go_bit_by_bit(location: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_PRUNE_AT_A_TIME", 2)
    left = []
    for most in (100, 1, 1, 1):
        feedback = Feedback(Database(location), keep_s=1000.0, most=most, failed=lambda: None)
        for number in range(5 if most == 100 else 0):
            await feedback.keep(verdict(f"r-{number}", at=time.time() - 10 + number))
        assert await feedback.tell("r-4", "spoof", "", "") == "spoof"
        await feedback.close()
        with Database(location) as database:
            left += database.execute(("SELECT COUNT(*) FROM bonafide_verdicts", ()))
    assert left == [(5,), (3,), (1,), (1,)]


async def test_verdicts_are_kept_while_old_ones_cannot_be_let_go_of(
    location: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "_PRUNE_EVERY_S", 0.0)
    database, lost, limits = Database(location), [], []
    execute = database.execute

    def slow(*statements: tuple[str, Sequence[object]]) -> list[Row]:
        if statements[0][0].startswith("DELETE"):
            limits.append(statements[0][1][-1])
            raise DatabaseFailed("it takes too long")
        return execute(*statements)

    monkeypatch.setattr(database, "execute", slow)
    feedback = Feedback(database, keep_s=1000.0, most=100, failed=lambda: lost.append(1))
    for request_id in ("r-1", "r-2"):
        await feedback.keep(verdict(request_id))
        assert await feedback.tell(request_id, "spoof", "", "") == "spoof"
    assert not lost
    assert limits == [50_000, 25_000, 12_500, 6_250]
    await feedback.close()


async def test_only_the_owner_reads_the_file(tmp_path: Path) -> None:
    feedback = Feedback(Database(str(tmp_path / "db")), keep_s=1000.0, most=100, failed=lambda: None)
    await feedback.keep(verdict("r-1"))
    assert stat.S_IMODE((tmp_path / "db").stat().st_mode) == 0o600
    await feedback.close()


def test_other_databases_are_refused() -> None:
    with pytest.raises(ValueError, match="SQLite"):
        Database("mysql://host/db")
