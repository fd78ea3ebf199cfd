#!/usr/bin/env bash
# Builds a Bento and its image, with whichever of docker, podman and buildah works, and tells each image's size.
#
#   VARIANT        cpu (default): bonafide:VERSION-cpu, with converted models and without torch;
#                  cuda: bonafide:VERSION-cuda, with checkpoints, torch and CUDA's libraries; both: the two;
#                  scan, scan-cuda: these with Ray and what scans archives (docs/deploy.md)
#   VOICE, FACE    models to put in, as `make bento` takes them
#   BASE_IMAGE     a Debian with Python 3.11 and venv, instead of python:3.11-slim-bookworm
#   BACKEND        docker, podman or buildah, instead of the first that works
#   IMAGE_OPTIONS  more options for the backend's build command, as `bentoml containerize --opt` takes them
#
# pip's configuration here (index, certificates) is passed to the build as secrets and stays in no layer.
set -euo pipefail
cd "$(dirname "$0")/.."

version="$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml | head -1)"
case "${VARIANT:-cpu}" in
    cpu | cuda | scan | scan-cuda) variants=("${VARIANT:-cpu}") ;;
    both) variants=(cpu cuda) ;;
    *)
        echo "VARIANT is $VARIANT; it can be cpu, cuda, both, scan or scan-cuda" >&2
        exit 2
        ;;
esac

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
of_pip="$(python3 -m pip config list 2>/dev/null)"
{
    echo "[global]"
    sed -nE "s/^(global|:env:)\.(default-)?(index-url|extra-index-url|trusted-host|proxy|retries|timeout)='(.*)'$/\3 = \4/p" <<< "$of_pip"
} > "$secrets/pip.conf"
certificates="${PIP_CERT:-$(sed -nE "s/^global\.cert='(.*)'$/\1/p" <<< "$of_pip")}"
certificates="${certificates:-${REQUESTS_CA_BUNDLE:-${SSL_CERT_FILE:-}}}"
cp "${certificates:-/dev/null}" "$secrets/ca.crt"

options=(--opt "secret=id=pip.conf,src=$secrets/pip.conf" --opt "secret=id=ca.crt,src=$secrets/ca.crt")
[[ -n "${BASE_IMAGE:-}" ]] && options+=(--opt "build-arg=BASE_IMAGE=$BASE_IMAGE")
for option in ${IMAGE_OPTIONS:-}; do options+=(--opt "$option"); done

# Podman and buildah write the OCI format unless told; it has no health check.
export BUILDAH_FORMAT=docker BENTOML_DO_NOT_TRACK=True
bentoml="$PWD/.venv/bin/bentoml"
sizes=()
for variant in "${variants[@]}"; do
    image="bonafide:$version-$variant"
    tag="$(.venv/bin/python -m scripts.bento --variant "$variant" --voice "${VOICE:-}" --face "${FACE:-}" | tail -1)"
    # From there, because BentoML copies the Dockerfile there and then reads it only below the folder that it is called in.
    (cd "${TMPDIR:-/tmp}" && "$bentoml" containerize "$tag" --backend "$backend" --image-tag "$image" "${options[@]}")
    sizes+=("$image $("$backend" images --format '{{.Size}}' "$image" | head -1)")
done

printf '%s\n' "${sizes[@]}"
