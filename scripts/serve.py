"""Serves this checkout, after a check of BentoML's folder: BentoML shows a traceback where it cannot make it.

Usage: make serve, or python -m scripts.serve [options of `bentoml serve`]
"""

import os
import sys
from pathlib import Path

from scripts.local_service import ROOT


def bentoml_home() -> Path:
    """BentoML's folder, `$BENTOML_HOME` or `~/bentoml`; made if it is missing.

    Raises:
        SystemExit: it cannot be made; the message says so, and the exit status is 1.
    """
    folder = Path(os.path.expandvars(os.environ.get("BENTOML_HOME") or "~/bentoml"))
    try:
        folder = folder.expanduser()
        for needed in ("bentos", "models", "envs", "tmp"):
            (folder / needed).mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError) as error:  # expanduser raises RuntimeError for a user without a home
        reason = error.strerror if isinstance(error, OSError) else error
        raise SystemExit(
            f"Bonafide cannot start: BentoML's folder {folder} cannot be made ({reason}); "
            "set HOME or BENTOML_HOME to a folder that can be written"
        ) from None
    return folder


def main() -> None:
    """Becomes `bentoml serve`."""
    bentoml_home()
    os.chdir(ROOT)
    command = str(Path(sys.executable).parent / "bentoml")
    os.execv(command, [command, "serve", *sys.argv[1:]])  # noqa: S606 - no shell


if __name__ == "__main__":
    main()
