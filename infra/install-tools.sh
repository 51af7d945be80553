#!/bin/sh
# install-tools.sh COMMAND...             install the commands that are missing, from packages of the same name
# install-tools.sh --packages PACKAGE...  install these packages
# Uses the system's package manager (apt-get), as root or through sudo, and says so.
set -eu

missing=
if [ "${1:-}" = --packages ]; then
    shift
    missing="$*"
else
    for tool in "$@"; do
        command -v "$tool" >/dev/null 2>&1 || missing="$missing $tool"
    done
fi
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null 2>&1; then
    echo "Please install with this system's package manager:$missing" >&2
    exit 1
fi
as_root=
[ "$(id -u)" = 0 ] || as_root=sudo
echo "installing with apt-get:$missing"
$as_root apt-get update -q >/dev/null
# shellcheck disable=SC2086 # a list of words
DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -q --no-install-recommends $missing >/dev/null
