#!/usr/bin/env bash
# Builds the image and runs it, without a registry and without a docker daemon: as root, with buildah and podman.
#   apt-get install --no-install-recommends buildah podman runc debootstrap
#
# 1. debootstrap makes a Debian with Python, which is tagged as the base image that the Dockerfile names
# 2. `make image` builds the image with buildah
# 3. podman runs it as an unprivileged user with a read-only root; gRPC, HTTP and WebSocket are called
# 4. SIGTERM arrives under load: every call that was accepted is answered, the exit code is 0
#
# Everything lies in $WORK (some 20 GB, kept for the next run) and nothing else of the machine's containers is touched.
# Exit status: 0 all well, 3 something that is needed is not there, else it failed.
set -euo pipefail
cd "$(dirname "$0")/.."

work="${WORK:-/var/tmp/bonafide-containers}"
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

echo "== the image"
make --no-print-directory image | tee "$work/image.log"
image="$(tail -1 "$work/image.log" | cut -d' ' -f1)"

echo "== what it holds"
podman run --rm --no-healthcheck --entrypoint sh "localhost/$image" -c '
    test "$(id -u)" = 1034
    for compiler in cc gcc g++ c++ clang ld as make rustc go pip; do
        ! command -v "$compiler" || { echo "$compiler was left in the image"; exit 1; }
    done
    ! test -w /home/bentoml/bento || { echo "the code can be written to"; exit 1; }
    du -sh /app/.venv /home/bentoml/bento 2>/dev/null
    du -sm /app/.venv/lib/python3*/site-packages/* | sort -rn | head -8'
if [[ "$image" == *-cpu ]]; then
    podman run --rm --no-healthcheck --entrypoint sh "localhost/$image" -c '! ls /app/.venv/lib/python3*/site-packages | grep -E "^(nvidia|triton|cuda)$"'
fi
podman inspect --type image --format '{{json .Config.ExposedPorts}} {{json .HealthCheck}} {{json .Config.User}}' "localhost/$image"

echo "== running it"
nice -n 10 .venv/bin/python -m tests.deploy.container "localhost/$image"
