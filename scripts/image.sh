#!/usr/bin/env bash
# Builds the image of the newest Bento, with whichever of docker, podman and buildah works, and tells its size.
#
#   TORCH_INDEX    package index that holds CPU builds of torch, such as the one that pytorch.org documents. Set: the image
#                  is bonafide:VERSION-cpu and holds no CUDA; empty: bonafide:VERSION-cuda, with torch's default build
#   BASE_IMAGE     a Debian with Python 3.11 and venv, instead of python:3.11-slim-bookworm
#   BACKEND        docker, podman or buildah, instead of the first that works
#   IMAGE_OPTIONS  more options for the backend's build command, as `bentoml containerize --opt` takes them
#
# pip's configuration here (index, certificates) is passed to the build as secrets and stays in no layer.
set -euo pipefail
cd "$(dirname "$0")/.."

version="$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml | head -1)"
variant="$([[ -n "${TORCH_INDEX:-}" ]] && echo cpu || echo cuda)"
image="bonafide:$version-$variant"

backend="${BACKEND:-}"
if [[ -z "$backend" ]]; then
    if docker info >/dev/null 2>&1; then backend=docker
    elif command -v podman >/dev/null; then backend=podman
    elif command -v buildah >/dev/null; then backend=buildah
    else
        echo "no docker that runs, no podman, no buildah: install one of them" >&2
        exit 3
    fi
fi

secrets="$(mktemp -d)"
trap 'rm -rf "$secrets"' EXIT
{
    echo "[global]"
    python3 -m pip config list 2>/dev/null | sed -nE \
        "s/^(global|:env:)\.(default-)?(index-url|extra-index-url|trusted-host|proxy|retries|timeout)='(.*)'$/\3 = \4/p"
} > "$secrets/pip.conf"
certificates="${PIP_CERT:-${SSL_CERT_FILE:-}}"
cp "${certificates:-/dev/null}" "$secrets/ca.crt"

options=(--opt "secret=id=pip.conf,src=$secrets/pip.conf" --opt "secret=id=ca.crt,src=$secrets/ca.crt")
options+=(--opt "build-arg=TORCH_INDEX=${TORCH_INDEX:-}")
[[ -n "${BASE_IMAGE:-}" ]] && options+=(--opt "build-arg=BASE_IMAGE=$BASE_IMAGE")
for option in ${IMAGE_OPTIONS:-}; do options+=(--opt "$option"); done

# Podman and buildah write the OCI format unless told; it has no health check.
export BUILDAH_FORMAT=docker BENTOML_DO_NOT_TRACK=True
bentoml="$PWD/.venv/bin/bentoml"
# From there, because BentoML copies the Dockerfile there and then reads it only below the folder that it is called in.
cd "${TMPDIR:-/tmp}"
"$bentoml" containerize bonafide:latest --backend "$backend" --image-tag "$image" "${options[@]}"

echo "$image $("$backend" images --format '{{.Size}}' "$image" | head -1)"
