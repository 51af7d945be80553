"""Running networks piece by piece: batches that shrink when memory runs out, and errors told apart.

Only this module and those that define networks import torch; none of them is imported before a model is opened.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import torch
from torch import Tensor

from sync_core.models.errors import DeviceBroken, DeviceFull

PRECISIONS: Final = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


def default_precision(device: str) -> str:
    """Half precision on a GPU, single on a CPU."""
    return "float32" if device == "cpu" else "float16"


@contextmanager
def device_errors(device: str | torch.device, what: str) -> Iterator[None]:
    """Turn torch's errors on a device into ours; `what` is what had to fit into its memory.

    Raises
    ------
    DeviceFull
        If the device's memory is full.
    DeviceBroken
        If the device failed in a way that it does not recover from within this process.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise DeviceFull(f"{device} has no memory left for {what}: {first_line(error)}") from error
    except torch.AcceleratorError as error:
        raise DeviceBroken(f"{device} failed and must be opened anew: {first_line(error)}") from error


class BatchRunner:
    """Applies a network to many equal pieces, as many at once as the device takes.

    After the device has run out of memory the batch stays halved; other users of the device may be the reason, but a
    batch that is too small costs little and one that is too large costs a failed attempt each time.

    Parameters
    ----------
    forward
        Maps a batch [shape=(n, ...)] to its results [shape=(n, ...)], on the device.
    device
        Where the pieces are sent.
    largest_batch
        Pieces at once, to begin with.
    """

    def __init__(self, forward: Callable[[Tensor], Tensor], device: str, *, largest_batch: int) -> None:
        self._forward = forward
        self._device = torch.device(device)
        self.batch = largest_batch

    @torch.inference_mode()
    def run(self, pieces: Tensor) -> Tensor:
        """Apply the network to pieces [shape=(n, ...)]; the result is on the CPU in single precision.

        Raises
        ------
        DeviceFull
            If not even one piece fits.
        DeviceBroken
            If the device failed in a way that it does not recover from within this process.
        """
        done: list[Tensor] = []
        start = 0
        while start < len(pieces):
            part = pieces[start : start + self.batch]
            try:
                with device_errors(self._device, "one piece"):
                    done.append(self._forward(part.to(self._device, non_blocking=True)).float().cpu())
                start += len(part)
            except DeviceFull:
                if len(part) <= 1:
                    raise
                self._shrink(len(part))
        return torch.cat(done)

    def _shrink(self, tried: int) -> None:
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        self.batch = max(tried // 2, 1)


def first_line(error: Exception) -> str:
    """Cut off a torch error after what happened; the rest is advice on debugging."""
    return str(error).strip().partition("\n")[0]
