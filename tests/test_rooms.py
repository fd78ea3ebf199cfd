"""The import order of the packages (rooms): a module imports only lower ranks or its own; see docs/architecture.md."""

import ast
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[1]
RANKS = (
    {"service"},
    {"lab", "scan", "models.fetch", "models.convert", "models.first_load", "models.manifest"},
    {"models.configured", "bonafide.serving"},
    {"bonafide.bento", "bonafide.api", "models"},
    {"bonafide.app"},
    {"bonafide.job_work"},
    {"bonafide.voice", "bonafide.face", "bonafide.live", "bonafide.records"},
    {"bonafide.voice_report"},
    {"bonafide.recordings", "bonafide.shadow", "bonafide.evidence", "bonafide.drift", "bonafide.feedback"},
    {"bonafide.jobs"},
    {"bonafide.runner", "bonafide.decoders"},
    {
        "bonafide.channels",
        "bonafide.cache",
        "bonafide.audio",
        "bonafide.photo",
        "bonafide.storage",
        "bonafide.security",
    },
    {"bonafide.verdict", "bonafide.telemetry", "bonafide.byte_budget", "bonafide.environment", "bonafide.http_errors"},
    {"bonafide.setting_files", "bonafide.calls", "bonafide.fair_queue"},
    {"bonafide.base64_text", "bonafide.media_digest", "bonafide.media_format"},
    {"bonafide.errors", "bonafide.settings", "models.info"},
    {
        "models.cpus",
        "models.folder_sync",
        "bonafide.addresses",
        "bonafide.decision",
        "bonafide.lists",
        "bonafide.parent",
        "models.printable",
    },
)
RANK_OF = {room: rank for rank, rooms in enumerate(RANKS) for room in rooms}


def room_of(module: str) -> str | None:
    """The room of a module; None for other packages."""
    parts = module.split(".")
    names = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((name for name in names if name in RANK_OF), None)


@cache
def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def modules() -> list[Path]:
    paths = [ROOT / "service.py"]
    for package in ("bonafide", "models", "lab", "scan"):
        paths += (ROOT / package).rglob("*.py")
    return [path for path in paths if path.parent != ROOT / "bonafide" or path.name != "__init__.py"]


def test_no_import_runs_upwards_or_to_a_room_of_the_same_rank() -> None:
    wrong = []
    for path in modules():
        own = room_of(".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"))
        assert own is not None, f"{path} lies in no room"
        for other in {room_of(name) for name in imports(path)} - {own, None}:
            if RANK_OF[other or ""] <= RANK_OF[own]:
                wrong.append(f"{path.relative_to(ROOT)} ({own}) imports {other}")
    assert not wrong


def test_no_import_runs_in_a_circle() -> None:
    names = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in modules()
    }
    graph = {name: {other for other in imports(path) if other in names} - {name} for name, path in names.items()}
    assert len(list(TopologicalSorter(graph).static_order())) == len(names)


def test_only_configured_and_the_lab_know_models_and_the_service_alike() -> None:
    knowing = [path for path in (ROOT / "models").rglob("*.py") if any(n.startswith("bonafide") for n in imports(path))]
    assert knowing == [ROOT / "models/configured.py"]
