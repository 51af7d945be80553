#!/bin/sh
# make-venv.sh PYTHON FOLDER: make a virtual environment, and say what is missing where that cannot be done.
set -eu
python=$1 folder=$2

if [ -z "$python" ] || ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "Python 3.11 or newer is needed; name one with: make PYTHON=/path/to/python3.11 ..." >&2
    exit 1
fi
if ! "$python" -c 'import ensurepip' 2>/dev/null; then
    echo "this Python has no ensurepip; installing python3-venv"
    sh "$(dirname "$0")/install-tools.sh" --packages python3-venv
fi
"$python" -m venv "$folder"
