"""Every refusal of a model says what can be done: read from the source, so that a new one is not forgotten."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from models import errors

ROOT = Path(__file__).parents[2]
REFUSALS = {name for name, each in vars(errors).items() if isinstance(each, type)} - {"InferenceFailed"} | {"_refused"}
INSTRUCTION = re.compile(
    r"\b(add|copy|correct|convert|export|fine-tune|get|give|install|leave|merge|remove|run|save|serve|state its|take"
    r"|train|unset|use|write)\b|\bname (a|one|the)\b|\bset (it|to|HF_|BONAFIDE|\{)|it must (be|match)|try again"
    r"|see the log|docs/models\.md",
)
# What a constant or a function of ours adds to a sentence stands for itself.
WAYS = re.compile(r"\{(_?[A-Z_]*(WAY|WAYS|FORMS|FILES|AGAIN|MERGE|EXPORT|WRAP|MANIFEST|TORCH)[A-Z_]*|way)\b")


def refusals() -> Iterator[tuple[str, str]]:
    """Place and sentence of each error that is made with one."""
    for path in sorted((ROOT / "models").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id in REFUSALS
                and node.args
            ):
                sentence = node.args[0]
                if isinstance(sentence, ast.Constant | ast.JoinedStr):
                    refused = path.name == "preprocessing.py" and node.func.id == "_refused"
                    yield f"{path.name}:{node.lineno}", ast.unparse(sentence) + ("{_WAYS}" if refused else "")


def test_every_refusal_names_a_way() -> None:
    found = dict(refusals())
    assert len(found) > 100
    assert {
        place: text for place, text in found.items() if not INSTRUCTION.search(text) and not WAYS.search(text)
    } == {}
