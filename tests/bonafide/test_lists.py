import pytest
from hypothesis import given
from hypothesis import strategies as st

from bonafide.lists import parse_list


@pytest.mark.parametrize(
    "text",
    ["a,b", " a , b ,", '["a","b"]', '["a", "b"]', '"a, b"', "'a,b'", '"a","b"', "'a', 'b'", '\'["a", "b"]\''],
)
def test_one_list_in_many_spellings(text: str) -> None:
    assert parse_list(text) == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("", []),
        ("[]", []),
        ('""', []),
        ("[50051, 50052]", ["50051", "50052"]),
        ("[1]", ["1"]),
        ("[::1],h", ["[::1]", "h"]),
        ("[1::2],[::1]:80", ["[1::2]", "[::1]:80"]),
        ("http://[::1]:80,*", ["http://[::1]:80", "*"]),
    ],
)
def test_other_lists(text: str, items: list[str]) -> None:
    assert parse_list(text) == items


@pytest.mark.parametrize(
    "text",
    ["[a, b]", "['a', 'b']", '["a", "c"', '["a"], b', '[["a"]]', '["a", null]', '{"a": 1}', "a b", "a;b", '"q', "a'b",
     '["a b"]', "[1, true]", "[1.5]"],
)  # fmt: skip
def test_what_could_be_read_in_another_way_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(ValueError, match="list") as wrong:
        parse_list(text)
    assert text not in str(wrong.value)


@given(st.text())
def test_any_text_is_a_list_or_refused(text: str) -> None:
    try:
        items = parse_list(text)
    except ValueError:
        return
    assert all(item == item.strip() and item and '"' not in item for item in items)
