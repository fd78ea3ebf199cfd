#!/usr/bin/env bash
# Builds the MinIO server that the integration tests talk to, once; see go_binary.sh.
set -euo pipefail

# The module has no version tags that Go understands, so the commit of the release is named.
release="RELEASE.2025-09-07T16-13-09Z"
version="v0.0.0-20250907161309-07c3a429bfed"
module="github.com/minio/minio"

# MinIO refuses to compare its version with others unless the release is stamped in.
stamp="-X $module/cmd.ReleaseTag=$release -X $module/cmd.Version=2025-09-07T16:13:09Z"
stamp+=" -X $module/cmd.CopyrightYear=2025 -X $module/cmd.CommitID=${version##*-} -X $module/cmd.ShortCommitID=${version##*-}"
exec "$(dirname "$0")/go_binary.sh" minio "$release" "$module@$version" "$stamp"
