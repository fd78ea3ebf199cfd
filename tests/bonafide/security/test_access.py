import pytest

from bonafide.errors import Overloaded, Unauthenticated
from bonafide.security.access import ANONYMOUS, Access
from bonafide.security.keys import KeyStore, new_key
from bonafide.settings import Settings
from bonafide.settings.errors import WrongFile

NO_KEY: frozenset[str] = frozenset()


def test_without_keys_anybody_may_call() -> None:
    access = Access.from_settings(Settings())
    assert access.admit(NO_KEY) == access.admit(frozenset({"whatever"})) == ANONYMOUS


def test_with_keys_only_who_has_one() -> None:
    key, line = new_key("bank")
    access = Access.from_settings(Settings.model_validate({"keys": line}))
    assert access.admit(frozenset({key})) == "bank"
    with pytest.raises(Unauthenticated, match="is needed"):
        access.admit(NO_KEY)
    with pytest.raises(Unauthenticated, match="not known") as refused:
        access.admit(frozenset({"bonafide_wrong"}))
    assert "wrong" not in refused.value.message
    with pytest.raises(Unauthenticated, match="different API keys"):
        access.admit(frozenset({key, "bonafide_wrong"}))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"keys_file": "none/keys"}, r"^BONAFIDE_KEYS_FILE: .*No such file"),
        ({"keys": "no key"}, "^BONAFIDE_KEYS: "),
    ],
)
def test_at_the_start_the_setting_of_keys_that_cannot_be_read_is_named(given: dict[str, str], told: str) -> None:
    with pytest.raises(WrongFile, match=told):
        Access.from_settings(Settings.model_validate(given))


def test_each_key_has_its_limit() -> None:
    (slow, slow_line), (fast, fast_line) = new_key("slow", 1), new_key("fast")
    access = Access(KeyStore(f"{slow_line}\n{fast_line}"), calls_per_minute=2)
    assert access.admit(frozenset({slow})) == "slow"
    with pytest.raises(Overloaded) as refused:
        access.admit(frozenset({slow}))
    assert refused.value.retry_after_s == 60
    assert [access.admit(frozenset({fast})) for _ in range(2)] == ["fast", "fast"]
    with pytest.raises(Overloaded) as refused:
        access.admit(frozenset({fast}))
    assert refused.value.retry_after_s == 30


def test_no_limit_is_none() -> None:
    key, line = new_key("bank")
    access = Access(KeyStore(line))
    assert {access.admit(frozenset({key})) for _ in range(10_000)} == {"bank"}
