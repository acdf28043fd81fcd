#!/usr/bin/env bash
# Write requirements/*.txt: one exact version of every dependency with the hashes of its files, for all supported
# versions of Python. Versions that are in the files already stay as long as pyproject.toml allows them.
#
#     scripts/lock.sh              # after a change of the dependencies in pyproject.toml
#     scripts/lock.sh --upgrade    # the newest versions; run the tests before you commit them
#
# Needs uv (pip install uv). The files name no registry: pip asks the one that it is configured with.
set -euo pipefail
cd "$(dirname "$0")/.."

lock() { # output file, then options
  local output=$1
  shift
  uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes \
    --no-emit-index-url --no-emit-find-links --custom-compile-command scripts/lock.sh --output-file "$output" "$@"
}

lock requirements/run.txt --extra timm --extra hub --extra onnx --extra safetensors --extra explain \
  --extra tune --extra mlflow --extra slurm --extra ray --extra detection "$@"
lock requirements/dev.txt --extra dev --extra docs --constraint requirements/run.txt "$@"
