import re
from pathlib import Path

import pytest

from bonafide import settings as module
from bonafide.environment import read_settings
from bonafide.settings import Settings
from scripts.local_service import ROOT
from scripts.settings_table import DOCUMENT, table, with_table


def test_the_table_is_that_of_the_settings_class() -> None:
    document = DOCUMENT.read_text(encoding="utf-8")
    assert document == with_table(document), "run `python -m scripts.settings_table`"


def test_every_setting_is_in_the_table_with_its_default() -> None:
    lines = table().splitlines()
    assert len(lines) == 2 + len(Settings.model_fields)
    assert "| `MINIO_SECURE`, `MINIO_USE_SSL` | `false` | Whether MinIO is accessed over TLS. |" in lines
    assert not [line for line in lines if "SecretStr" in line or "factory" in line]


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))], ids=lambda page: page.name
)
def test_every_variable_on_the_pages_exists(page: Path) -> None:
    names = re.findall(r"\bBONAFIDE_[A-Z][A-Z0-9_]*", page.read_text(encoding="utf-8"))
    read_settings(dict.fromkeys(names, ""))


def test_what_a_bento_ships_gives_way_to_everything_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shipped, own = tmp_path / "bonafide.yaml", tmp_path / "own.yaml"
    shipped.write_text("voice_model: bento:voice:1\nface_model: bento:face:1\ncache_ttl_s: 7\n")
    own.write_text("face_model: some/model\n")
    monkeypatch.setattr(module, "SHIPPED", shipped)
    monkeypatch.setenv("BONAFIDE_CONFIG", str(own))
    monkeypatch.setenv("BONAFIDE_CACHE_TTL_S", "8")
    settings = Settings()
    assert (settings.voice_model, settings.face_model, settings.cache_ttl_s) == ("bento:voice:1", "some/model", 8)
