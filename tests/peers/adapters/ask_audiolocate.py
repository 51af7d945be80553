"""Ask audiolocate about two files. Runs in an environment of its own."""

import json
import sys

from audiolocate import AudioFingerprint


def main(master: str, dub: str) -> None:
    found = AudioFingerprint().find_match(master, dub)
    offset = found["time_seconds"] if found["found"] else None
    print(json.dumps({"offset_seconds": offset, "score": found["match_count"]}))


main(*sys.argv[1:])
