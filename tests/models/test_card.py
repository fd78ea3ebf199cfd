"""The front matter of model cards: its licence, and what the status call repeats of it."""

from pathlib import Path

import pytest

from models.card import front_matter, licence, notice

BUNDLED = Path(__file__).parents[2] / "models/bundled"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("---\nlicense: mit\n---\n", "mit"),
        ("---\nlicense: other\nlicense_name: own\n---\n", "own"),
        ("---\nlicense: other\n---\n", "other"),
        ("# Card\nlicense: mit\n", None),
        ("---\nlicense: [\n---\n", None),
        ("---\nlicense: mit\ndate: 2023-02-30\n---\n", None),
        ("---\nlicense: mit\nsize: 0x_\n---\n", None),
        (f"---\nlicense: {'[' * 500}\n---\n", None),
        ("---\n- mit\n---\n", None),
        ("---\n---\n", None),
    ],
)
def test_licence_of_a_card(text: str, expected: str | None, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(text)
    assert licence(tmp_path) == expected


def test_no_card(tmp_path: Path) -> None:
    assert front_matter(tmp_path) == {}
    (tmp_path / "README.md").write_bytes(b"---\n\xff\n---\n")
    assert front_matter(tmp_path) == {}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("---\nnotice: >-\n  EER 5 %\n  on LA.\n---\n", "EER 5 % on LA."),
        ("---\nlicense: mit\n---\nnotice: no\n", ""),
        ("---\nnotice: [a, b]\n---\n", ""),
        (f"---\nnotice: {'x' * 600}\n---\n", "x" * 500),
    ],
)
def test_notice_of_a_card(text: str, expected: str, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(text)
    assert notice(tmp_path) == expected


def test_of_a_card_that_is_no_card_only_the_beginning_is_read(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_bytes(b"---\nlicense: mit\n---\n" + b"x" * 10_000_000)
    assert licence(tmp_path) == "mit"
    (tmp_path / "README.md").write_bytes(b"---\n" + b"# \n" * 100_000 + b"license: mit\n---\n")
    assert licence(tmp_path) is None


@pytest.mark.parametrize("task", ["voice", "face"])
def test_bundled_models_state_their_figures_and_that_they_must_not_decide(task: str) -> None:
    stated = notice(BUNDLED / task)
    assert stated.startswith("A demonstration model must not decide: ")
    figure = stated.split("EER ")[1].split(" %")[0]
    assert f"EER {figure} %" in (BUNDLED.parents[1] / "README.md").read_text()
