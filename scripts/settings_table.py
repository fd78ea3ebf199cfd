"""Writes the table of settings in docs/deploy.md from the settings class: names, defaults and field descriptions.

Usage: python -m scripts.settings_table
"""

import ast
import inspect
from itertools import pairwise
from pathlib import Path

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from bonafide.environment import variables
from bonafide.settings import Settings
from bonafide.settings.group import MIB
from scripts.local_service import ROOT

DOCUMENT = ROOT / "docs" / "deploy.md"
_BEGIN = "<!-- settings: made by `python -m scripts.settings_table` -->\n"
_END = "<!-- end of settings -->\n"


def table() -> str:
    """The table in Markdown, one line for each setting, in the order of the class."""
    lines = ["| variable | default | meaning |", "|---|---|---|"]
    sentences = _sentences()
    for name, field in Settings.model_fields.items():
        if not (sentence := sentences.get(name)):
            raise ValueError(f"{name} has no sentence below it")
        names = ", ".join(f"`{each}`" for each in variables(name, field))
        lines.append(f"| {names} | {_default(field)} | {' '.join(sentence.split())} |")
    return "\n".join(lines) + "\n"


def _sentences() -> dict[str, str]:
    """What stands below each field of the settings' classes, by the field's name."""
    found: dict[str, str] = {}
    for group in Settings.__mro__:
        if not group.__module__.startswith("bonafide."):
            continue
        (body,) = (each.body for each in ast.parse(inspect.getsource(group)).body if isinstance(each, ast.ClassDef))
        for statement, below in pairwise(body):
            match statement, below:
                case ast.AnnAssign(target=ast.Name(name)), ast.Expr(ast.Constant(str(sentence))):
                    found.setdefault(name, sentence)
    return found


def with_table(document: str) -> str:
    """The document with the table between its marks brought up to date.

    Raises:
        ValueError: it has no such marks.
    """
    before, rest = document.split(_BEGIN)
    _, after = rest.split(_END)
    return before + _BEGIN + table() + _END + after


def _default(field: FieldInfo) -> str:
    value = field.default
    if field.default_factory is not None:
        return "by machine"
    if value in (None, (), "") or (isinstance(value, SecretStr) and not value.get_secret_value()):
        return "-"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return f"`{','.join(map(str, value))}`"
    if isinstance(value, int) and value >= MIB and value % MIB == 0:
        return f"`{value}` ({value // MIB} MiB)"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def main() -> None:
    """Brings the document up to date."""
    path = Path(DOCUMENT)
    path.write_text(with_table(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
