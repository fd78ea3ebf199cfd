"""scripts/image.sh: what a build is told of this machine."""

import os
import shutil
import subprocess
from pathlib import Path

from scripts.local_service import ROOT

BENTOML = """\
#!/bin/sh
for each; do
    case "$each" in secret=id=*,src=*) cp "${each#*src=}" "$KEPT" ;; esac
done
"""


def test_a_build_trusts_whom_pip_trusts_here(tmp_path: Path) -> None:
    """Behind a proxy that inspects TLS no package could be fetched with the authorities of pip.conf left behind."""
    for name, text in {
        ".venv/bin/python": "#!/bin/sh\necho bonafide:1\n",
        ".venv/bin/bentoml": BENTOML,
        "bin/builder": "#!/bin/sh\necho 1 MB\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts/image.sh", tmp_path / "scripts")
    (tmp_path / "pyproject.toml").write_text('version = "1"\n')
    (tmp_path / "own.pem").write_text("own")
    (tmp_path / "other.pem").write_text("other")
    (tmp_path / "pip.conf").write_text(
        f"[global]\nindex-url = https://index.example/simple\ncert = {tmp_path}/own.pem\n"
    )
    (tmp_path / "kept").mkdir()
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "REQUESTS_"))}
    environment |= {
        "PATH": f"{tmp_path}/bin:{os.environ['PATH']}",
        "BACKEND": "builder",
        "KEPT": str(tmp_path / "kept"),
        "PIP_CONFIG_FILE": str(tmp_path / "pip.conf"),
        "SSL_CERT_FILE": str(tmp_path / "other.pem"),
    }
    subprocess.run([tmp_path / "scripts/image.sh"], env=environment, check=True, capture_output=True)
    assert (tmp_path / "kept/ca.crt").read_text() == "own"
    assert "index-url = https://index.example/simple" in (tmp_path / "kept/pip.conf").read_text()
