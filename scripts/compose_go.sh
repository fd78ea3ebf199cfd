#!/usr/bin/env bash
# Builds the reference loader of the Compose Specification, which checks deploy/compose.yaml, once; see go_binary.sh.
set -euo pipefail

version="v2.16.2"
exec "$(dirname "$0")/go_binary.sh" compose-spec "$version" "github.com/compose-spec/compose-go/v2/cmd@$version"
