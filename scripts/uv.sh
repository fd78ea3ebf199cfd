#!/usr/bin/env bash
# Runs the pinned uv, installed once into the user's cache: a script, since Make knows no path with a space.
# Usage: [PYTHON=python3] uv.sh ARGUMENTS...
set -euo pipefail

version="0.13.9"
folder="${XDG_CACHE_HOME:-$HOME/.cache}/bonafide/uv-$version"
if [[ ! -x "$folder/bin/uv" ]]; then
    "${PYTHON:-python3}" -m venv "$folder"
    "$folder/bin/python" -m pip install --quiet --disable-pip-version-check "uv==$version"
fi
exec "$folder/bin/uv" "$@"
