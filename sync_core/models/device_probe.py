"""Look at the first GPU and print what was found as one line of JSON. Run as a process of its own."""

from __future__ import annotations

import json
import sys
import warnings


def look() -> dict[str, object]:
    """Find the first GPU's name and memory, or a sentence that says why it cannot be used."""
    import torch

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            if not torch.cuda.is_available():
                return {"error": _why_not(torch.version.cuda, [str(one.message) for one in said])}
            free, total = torch.cuda.mem_get_info(0)
            return {"name": torch.cuda.get_device_name(0), "free_bytes": free, "total_bytes": total}
        except RuntimeError as error:
            return {"error": _sentence(str(error))}


def _why_not(built_for: str | None, said: list[str]) -> str:
    if built_for is None:
        return "this build of PyTorch is for the CPU only."
    return _sentence(said[-1]) if said else f"PyTorch, built for CUDA {built_for}, finds none."


def _sentence(text: str) -> str:
    line = text.strip().partition("\n")[0].strip()
    return line if line.endswith(".") else f"{line}."


if __name__ == "__main__":
    sys.stdout.write(json.dumps(look()) + "\n")
