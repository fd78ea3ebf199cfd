"""What the serving processes load: torch is for training, conversion and CUDA only, and costs seconds and memory."""

import subprocess
import sys

from scripts.local_service import ROOT


def test_the_service_imports_no_training_framework() -> None:
    look = "import service, sys; print(sorted({'torch', 'torchaudio', 'transformers', 'scipy'} & set(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", look], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
