#!/usr/bin/env bash
# Builds the MinIO server that the integration tests talk to, once, from its Go module into the user's cache.
# Prints the path of the binary. Exit status: 0 it is there, 3 there is no Go to build it with, else the build failed.
set -euo pipefail

# The module has no version tags that Go understands, so the commit of the release is named.
release="RELEASE.2025-09-07T16-13-09Z"
version="v0.0.0-20250907161309-07c3a429bfed"
module="github.com/minio/minio"

bin_dir="${XDG_CACHE_HOME:-$HOME/.cache}/bonafide/bin"
binary="$bin_dir/minio-$release"

if [[ -x "$binary" ]]; then
    echo "$binary"
    exit 0
fi
if ! command -v go >/dev/null; then
    echo "minio: no Go compiler on the PATH (https://go.dev/dl), so the MinIO server cannot be built" >&2
    exit 3
fi

mkdir -p "$bin_dir"
# One build at a time; whoever waited finds the binary there.
if command -v flock >/dev/null; then
    exec 9>"$bin_dir/.minio.lock"
    flock 9
    if [[ -x "$binary" ]]; then
        echo "$binary"
        exit 0
    fi
fi

# Beside its final place: the rename at the end is then atomic.
staging="$(mktemp -d "$bin_dir/.minio.XXXXXX")"
trap 'rm -rf "$staging"' EXIT

echo "minio: building $release with $(go version | cut -d' ' -f3), some minutes" >&2
# MinIO refuses to compare its version with others unless the release is stamped in.
stamp="-s -w -X $module/cmd.ReleaseTag=$release -X $module/cmd.Version=2025-09-07T16:13:09Z"
stamp+=" -X $module/cmd.CopyrightYear=2025 -X $module/cmd.CommitID=${version##*-} -X $module/cmd.ShortCommitID=${version##*-}"
env -u GOOS -u GOARCH CGO_ENABLED=0 GOBIN="$staging" \
    nice -n 19 go install -trimpath -ldflags "$stamp" "$module@$version" >&2

mv -f "$staging/minio" "$binary"
echo "$binary"
