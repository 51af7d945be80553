"""Ask audalign's correlation recogniser about two files. Runs in an environment of its own."""

import json
import sys

import audalign


def main(master: str, dub: str) -> None:
    found = audalign.recognize(master, dub, recognizer=audalign.CorrelationRecognizer())
    match = next(iter(found["match_info"].values())) if found else {"offset_seconds": [], "confidence": []}
    best = next(iter(zip(match["offset_seconds"], match["confidence"], strict=True)), None)
    offset, score = (-best[0], best[1]) if best else (None, None)
    print(json.dumps({"offset_seconds": offset, "score": score}))


main(*sys.argv[1:])
