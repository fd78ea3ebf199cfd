#!/usr/bin/env bash
# Builds the Helm that the chart's tests use, once; see go_binary.sh.
set -euo pipefail

version="v3.22.0"
module="helm.sh/helm/v3"

# Unless told, it takes itself for one of Kubernetes 1.20; this is the release of the libraries that it is built with.
kubernetes=37
stamp="-X $module/internal/version.version=$version"
for package in pkg/chartutil pkg/lint/rules; do
    stamp+=" -X $module/$package.k8sVersionMajor=1 -X $module/$package.k8sVersionMinor=$kubernetes"
done
exec "$(dirname "$0")/go_binary.sh" helm "$version" "$module/cmd/helm@$version" "$stamp"
