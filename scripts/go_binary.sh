#!/usr/bin/env bash
# Builds a Go command once into the user's cache and prints the path of the binary.
# Usage: go_binary.sh NAME LABEL PACKAGE@VERSION [LDFLAGS]; the binary is called NAME-LABEL.
# Exit status: 0 it is there, 3 it is not and there is no Go to build it with or BUILD=no, else the build failed.
set -euo pipefail

name="$1" label="$2" package="$3" stamp="${4:-}"
bin_dir="${XDG_CACHE_HOME:-$HOME/.cache}/bonafide/bin"
binary="$bin_dir/$name-$label"

if [[ -x "$binary" ]]; then
    echo "$binary"
    exit 0
fi
if [[ "${BUILD:-yes}" == no ]]; then
    echo "$name: not built yet; \`make tools\` builds it" >&2
    exit 3
fi
if ! command -v go >/dev/null; then
    echo "$name: no Go compiler on the PATH (https://go.dev/dl), so it cannot be built" >&2
    exit 3
fi

mkdir -p "$bin_dir"
# One build at a time; whoever waited finds the binary there.
if command -v flock >/dev/null; then
    exec 9>"$bin_dir/.$name.lock"
    flock 9
    if [[ -x "$binary" ]]; then
        echo "$binary"
        exit 0
    fi
fi

# Beside its final place: the rename at the end is then atomic.
staging="$(mktemp -d "$bin_dir/.$name.XXXXXX")"
trap 'rm -rf "$staging"' EXIT

echo "$name: building $label with $(go version | cut -d' ' -f3), some minutes" >&2
env -u GOOS -u GOARCH CGO_ENABLED=0 GOBIN="$staging" \
    nice -n 19 go install -trimpath -ldflags "-s -w $stamp" "$package" >&2

mv -f "$staging"/* "$binary"
echo "$binary"
