"""Which files of a checkpoint folder hold its weights: those that transformers loads, whatever lies beside them."""

import re
from collections.abc import Sequence
from pathlib import Path

from models.errors import UnsupportedModel
from models.json_files import json_object

SAFE, PICKLED = ("model.safetensors", "pytorch_model.bin")
"""The whole weights; transformers takes the first of both kinds that is there, whole or by an index of parts."""
_NUMBERED = {
    SAFE: re.compile(r"model-(\d+)-of-(\d+)\.safetensors"),
    PICKLED: re.compile(r"pytorch_model-(\d+)-of-(\d+)\.bin"),
}


def weight_files(folder: Path) -> tuple[Path, ...]:
    """The files, sorted by name.

    Raises:
        UnsupportedModel: there are none, an index is broken, or parts without one are not all of one model.
    """
    for whole in (SAFE, PICKLED):
        if (folder / whole).is_file():
            return (folder / whole,)
        if (index := folder / f"{whole}.index.json").is_file():
            return _parts(index)
    for whole in _NUMBERED:
        if found := _without_index(folder, whole):
            return found
    raise UnsupportedModel(
        f"{folder.name} holds no {SAFE}{_variants(folder)}: copy the weights there by that name, whole or in parts "
        f"with their index, or {PICKLED}"
    )


def _without_index(folder: Path, whole: str) -> tuple[Path, ...]:
    """Parts that no index names: all of one model by their numbers, or none."""
    found = {path: match for path in sorted(folder.iterdir()) if (match := _NUMBERED[whole].fullmatch(path.name))}
    numbers = [int(match[1]) for match in found.values()]
    totals = {int(match[2]) for match in found.values()}
    if found and (len(totals) > 1 or numbers != list(range(1, max(totals) + 1))):
        raise UnsupportedModel(
            f"{folder.name} holds no {whole}.index.json, and its parts ({', '.join(path.name for path in found)}) are "
            "not all of one model: get them again, with their index"
        )
    return tuple(found)


def lacks_index(files: Sequence[Path]) -> bool:
    """Whether these files of `weight_files` are parts that no index names, which transformers would not find."""
    index = files[0].with_name(f"{SAFE}.index.json")
    return all(_NUMBERED[SAFE].fullmatch(path.name) for path in files) and not index.is_file()


def _parts(index: Path) -> tuple[Path, ...]:
    """The files that an index names."""
    named = json_object(index).get("weight_map")
    if not isinstance(named, dict) or not named or not all(isinstance(name, str) for name in named.values()):
        raise UnsupportedModel(f"{index.name} of {index.parent.name} names no files of weights; get it again")
    names = sorted(set(named.values()))
    for name in names:
        if name != Path(name).name or not (index.parent / name).is_file():
            raise UnsupportedModel(
                f"{index.name} of {index.parent.name} names {name!r}, and the folder holds no such file: get it again"
            )
    return tuple(index.parent / name for name in names)


def _variants(folder: Path) -> str:
    """What is there and may be meant, in words."""
    found = sorted(each.name for suffix in ("safetensors", "bin") for each in folder.glob(f"*model*.{suffix}"))
    return f" (other names are not loaded: {', '.join(found[:3])})" if found else ""
