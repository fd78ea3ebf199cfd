#!/usr/bin/env bash
# Builds the images and runs them, without a registry and without a docker daemon: as root, with buildah and podman.
#   apt-get install --no-install-recommends buildah podman runc debootstrap
#
# 1. debootstrap makes a Debian with Python, which is tagged as the base image that the Dockerfile names
# 2. `make image` builds the images with buildah; cpu holds no torch and has less than 1 GB
# 3. podman runs each as an unprivileged user with a read-only root; gRPC, HTTP and WebSocket are called
# 4. SIGTERM arrives under load: every call that was accepted is answered, the exit code is 0
# 5. a checkpoint is refused by the image cpu, converted by the image cuda, and then served by the image cpu
# 6. the image scan holds no torch; Ray starts in it as KubeRay starts it, and runs a job
#
# VARIANTS="cpu" builds and runs one alone, without 5; scan-cuda is built only when it is named there. Everything lies in $WORK (some 20 GB, kept for the next run) and nothing else of the machine's containers is touched.
# Exit status: 0 all well, 3 something that is needed is not there, else it failed.
set -euo pipefail
cd "$(dirname "$0")/.."

work="${WORK:-/var/tmp/bonafide-containers}"
variants="${VARIANTS:-cpu cuda scan}"
for command in buildah podman debootstrap runc; do
    if ! command -v "$command" >/dev/null; then
        echo "no $command: apt-get install --no-install-recommends buildah podman runc debootstrap" >&2
        exit 3
    fi
done
if [[ "$(id -u)" != 0 ]]; then
    echo "debootstrap and mounting images need root" >&2
    exit 3
fi

mkdir -p "$work"/{storage,run,tmp}
cat > "$work/storage.conf" <<END
[storage]
driver = "${STORAGE_DRIVER:-overlay}"
graphroot = "$work/storage"
runroot = "$work/run"
END
cat > "$work/containers.conf" <<END
[containers]
default_ulimits = ["nofile=1024:4096", "nproc=1024:2048"]
netns = "host"
[engine]
cgroup_manager = "cgroupfs"
runtime = "runc"
events_logger = "file"
image_copy_tmp_dir = "$work/tmp"
END
echo '{"default": [{"type": "insecureAcceptAnything"}]}' > "$work/policy.json"
export CONTAINERS_STORAGE_CONF="$work/storage.conf" CONTAINERS_CONF="$work/containers.conf" TMPDIR="$work/tmp"
export BUILDAH_ISOLATION=chroot BACKEND=buildah
export IMAGE_OPTIONS="signature-policy=$work/policy.json"

base=python:3.11-slim-bookworm
if ! buildah images --quiet "docker.io/library/$base" >/dev/null 2>&1; then
    echo "== a base image with debootstrap"
    rm -rf "$work/base"
    debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates bookworm "$work/base" > "$work/debootstrap.log"
    rm -rf "$work"/base/var/cache/apt/archives/*.deb "$work"/base/var/lib/apt/lists/*
    container="$(buildah from scratch)"
    buildah add --quiet "$container" "$work/base" /
    buildah config --cmd python3 "$container"
    buildah commit --quiet --signature-policy "$work/policy.json" --rm "$container" "docker.io/library/$base"
    rm -rf "$work/base"
fi

for variant in $variants; do
    echo "== the image, $variant"
    make --no-print-directory image VARIANT="$variant" | tee "$work/image-$variant.log"
    image="$(tail -1 "$work/image-$variant.log" | cut -d' ' -f1)"

    echo "== what it holds"
    podman run --rm --no-healthcheck --entrypoint sh "localhost/$image" -c '
        test "$(id -u)" = 1034 || { echo "it runs as user $(id -u)"; exit 1; }
        for compiler in cc gcc g++ c++ clang ld as make rustc go pip; do
            ! command -v "$compiler" || { echo "$compiler was left in the image"; exit 1; }
        done
        ! test -w /home/bentoml/bento || { echo "the code can be written to"; exit 1; }
        du -sh /app/.venv /home/bentoml/bento 2>/dev/null
        du -sm /app/.venv/lib/python3*/site-packages/* | sort -rn | head -8'
    if [[ "$variant" != *cuda ]]; then
        podman run --rm --no-healthcheck --entrypoint sh "localhost/$image" -c '
            ! ls /app/.venv/lib/python3*/site-packages | grep -E "^(nvidia|triton|cuda|torch|torchaudio|transformers)$"'
    fi
    if [[ "$variant" == cpu ]]; then
        size="$(podman image inspect --format '{{.Size}}' "localhost/$image")"
        [[ "$size" -lt 1000000000 ]] || { echo "the image has $size bytes, 1 GB or more"; exit 1; }
    fi
    podman inspect --type image --format '{{json .Config.ExposedPorts}} {{json .HealthCheck}} {{json .Config.User}}' "localhost/$image"

    echo "== running it"
    if [[ "$variant" == scan* ]]; then
        nice -n 10 .venv/bin/python -m tests.deploy.ray_container "localhost/$image"
    else
        nice -n 10 .venv/bin/python -m tests.deploy.container "localhost/$image"
    fi
done
[[ "$variants" == *cpu*cuda* ]] || exit 0

cpu="localhost/$(tail -1 "$work/image-cpu.log" | cut -d' ' -f1)"
cuda="localhost/$(tail -1 "$work/image-cuda.log" | cut -d' ' -f1)"
# Not below $work: podman's user must be able to reach it.
models="$(mktemp -d)"
trap 'rm -rf "$models"' EXIT
cp -r models/bundled/voice "$models/checkpoint"
chmod -R a+rX "$models"

echo "== a checkpoint in the image cpu: refused, with the way out"
if refused="$(podman run --rm --no-healthcheck --network=host --volume="$models:/models" --env=BONAFIDE_VOICE_MODEL=/models/checkpoint \
    "$cpu" start-http-server --service-name=WavLMRunner --host=127.0.0.1 --port=0 2>&1)"; then
    echo "it was served"; exit 1
fi
grep -F "python -m models.convert" <<< "$refused"

echo "== converted in the image cuda, served in the image cpu"
install -d -o 1034 -g 1034 "$models/converted"
podman run --rm --no-healthcheck --read-only --tmpfs=/tmp --env=HOME=/tmp --volume="$models:/models" --workdir=/home/bentoml/bento/src \
    "$cuda" python -m models.convert /models/checkpoint --out /models/converted/voice
nice -n 10 .venv/bin/python -m tests.deploy.container "$cpu" --volume="$models:/models:ro" --env=BONAFIDE_VOICE_MODEL=/models/converted/voice
