#!/usr/bin/env bash
# Test the ends of the supported versions, each in a fresh environment that is removed afterwards:
#
#   oldest   the oldest Python and the lowest version of each dependency that pyproject.toml allows
#   newest   the newest Python and the newest versions
#
#     scripts/version_matrix.sh                      # both, with the smoke tests
#     scripts/version_matrix.sh oldest tests/runs    # one of them, with other arguments for pytest
#
# Needs uv (pip install uv), python3.11 and python3.13, and about 6 GB of disk for each environment.
set -euo pipefail
cd "$(dirname "$0")/.."

try() { # name, Python, resolution, arguments of pytest
  local name=$1 python=$2 resolution=$3 environment status=0
  shift 3
  environment=$(mktemp -d)
  uv venv --quiet --python "$python" "$environment"
  uv pip install --quiet --python "$environment/bin/python" --resolution "$resolution" -e '.[dev]' || status=$?
  if [ "$status" = 0 ]; then
    "$environment/bin/python" -m pytest "$@" || status=$?
    "$environment/bin/python" - <<'EOF'
import platform
from importlib.metadata import version

names = ("torch", "torchvision", "pytorch-lightning", "hydra-core", "numpy")
print(f"Python {platform.python_version()}, " + ", ".join(f"{name} {version(name)}" for name in names))
EOF
  fi
  rm -rf "$environment"
  echo "$name: exit status $status"
  return "$status"
}

which=both
if [ "${1:-}" = oldest ] || [ "${1:-}" = newest ]; then
  which=$1
  shift
fi
[ $# -gt 0 ] || set -- -m smoke
status=0
[ "$which" = newest ] || try oldest python3.11 lowest-direct "$@" || status=1
[ "$which" = oldest ] || try newest python3.13 highest "$@" || status=1
exit "$status"
