#!/bin/sh
# freeze-constraints.sh PYTHON: resolve all extras anew in a fresh environment, and pin what comes out.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$1" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check '.[dev]'
{
    echo "# Every version that is installed, made by 'make constraints'. A change here is a change to be tested."
    "$folder/venv/bin/python" -m pip freeze --exclude sync-analyzer | sed "s/+cpu\$//" # the same wheel runs with either build
} >constraints.txt
