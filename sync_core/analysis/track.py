"""One side of a pair as the analysis sees it: mono samples and their log-mel energies."""

from __future__ import annotations

import bisect
import mmap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

import numpy as np
from numpy.typing import NDArray

from sync_core.analysis import mel
from sync_core.analysis.spans import joined

ANALYSIS_RATE_HZ: Final = 16_000

_LOUDEST: Final = np.float32(1e3)
"""60 dB over full scale; a sample beyond it is damage, and its square must not overflow."""


_SAMPLES: Final = np.dtype(np.float32)
_ENERGIES: Final = np.dtype(np.float16)


@dataclass(frozen=True, slots=True)
class Track:
    """A decoded recording.

    Attributes
    ----------
    samples : [shape=(n,), float32]
        Mono at `ANALYSIS_RATE_HZ`; may be a read-only memory map of a spool file.
    start_seconds
        Time of `samples[0]` after the file's time zero.
    log_mel : [shape=(n_hops, mel.BANDS), float16, nepers]
        Row k covers `samples[160 k : 160 k + 512]`; may be a memory map too.
    non_finite_count
        How many samples were NaN or infinite and are 0 now.
    parts
        First and last + 1 of the samples that are known, in order and apart; the others are silence. None: all are.
    """

    samples: NDArray[np.float32]
    start_seconds: float
    log_mel: NDArray[np.float16]
    non_finite_count: int = 0
    parts: Sequence[tuple[int, int]] | None = None

    @property
    def duration_seconds(self) -> float:
        return self.samples.size / ANALYSIS_RATE_HZ

    def sounds(self, start: int, stop: int) -> bool:
        """Whether any of some samples is not 0. Memory that holds no known part is not touched, which takes long."""
        return self._is_known(start, stop) and bool(self.samples[start:stop].any())

    def _is_known(self, start: int, stop: int) -> bool:
        if self.parts is None:
            return True
        before = bisect.bisect_left(self.parts, (stop, 0))
        return before > 0 and self.parts[before - 1][1] > start


def padded(samples: NDArray[np.float32], first: int, size: int) -> NDArray[np.float32]:
    """Copy a stretch of a recording; what lies beyond its ends is 0 [shape=(size,), float32]."""
    out = np.zeros(size, np.float32)
    low, high = max(first, 0), min(first + size, samples.size)
    if high > low:
        out[low - first : high - first] = samples[low:high]
    return out


def open_track(spool: Path, start_seconds: float, non_finite_count: int) -> Track:
    """Map the track that a builder, perhaps another process's, has left in its spool files."""
    energies = _mapped(_energies_spool(spool), _ENERGIES).reshape(-1, mel.BANDS)
    return Track(_mapped(spool, _SAMPLES), start_seconds, energies, non_finite_count)


def _energies_spool(spool: Path) -> Path:
    return spool.with_name(spool.name + ".mel")


def _mapped(path: Path, dtype: np.dtype[np.float16] | np.dtype[np.float32]) -> NDArray[np.floating]:
    """Map a file, as a plain array: slices of `np.memmap` itself take ten times as long."""
    return np.asarray(np.memmap(path, dtype, mode="r")) if path.stat().st_size else np.zeros(0, dtype)


class TrackBuilder:
    """Takes samples as they are decoded, and computes the log-mel energies on the way.

    With a spool path, samples and energies go to files (`spool` and `spool` + `.mel`) and memory stays flat; the caller
    deletes both when the track is no longer used. Without one they are held in memory.

    Examples
    --------
    >>> builder = TrackBuilder(start_seconds=0.0)
    >>> builder.push(np.zeros(16_000, np.float32))
    >>> builder.finish().duration_seconds
    1.0
    """

    def __init__(self, start_seconds: float, spool: Path | None = None) -> None:
        self._start_seconds = start_seconds
        self._spool = spool
        self._samples = _Sink(spool, _SAMPLES)
        self._energies = _Sink(spool and _energies_spool(spool), _ENERGIES)
        self._carry = np.zeros(0, np.float32)
        self._non_finite_count = 0

    def push(self, block: NDArray[np.float32]) -> None:
        """Append a block of mono samples [shape=(n,), float32, any n] at `ANALYSIS_RATE_HZ`."""
        block, non_finite = _finite(np.ascontiguousarray(block, np.float32).reshape(-1))
        self._non_finite_count += non_finite
        self._samples.write(block)
        pending = np.concatenate([self._carry, block])
        energies = mel.log_mel(pending)
        self._energies.write(energies)
        self._carry = pending[len(energies) * mel.HOP_SAMPLES :]

    def finish(self) -> Track:
        """Close the spool files and return the track."""
        samples, energies = self._samples.finish(), self._energies.finish()
        if self._spool:
            return open_track(self._spool, self._start_seconds, self._non_finite_count)
        return Track(samples, self._start_seconds, energies.reshape(-1, mel.BANDS), self._non_finite_count)


class PartsBuilder:
    """Takes parts of a recording; what lies between them is silence, which takes next to no memory.

    Parameters
    ----------
    samples
        Length of the whole recording.
    """

    def __init__(self, start_seconds: float, samples: int) -> None:
        self._start_seconds = start_seconds
        self._samples = _sparse(samples)
        self._parts: list[tuple[int, int]] = []
        self._non_finite_count = 0

    def put(self, at: int, block: NDArray[np.float32]) -> None:
        """Put a block of mono samples [shape=(n,), float32] where it belongs; what would lie outside is left out."""
        block, non_finite = _finite(block[: max(self._samples.size - at, 0)])
        self._samples[at : at + block.size] = block
        self._non_finite_count += non_finite
        self._parts.append((at, at + block.size))

    def finish(self) -> Track:
        """Return the track."""
        hops = max((self._samples.size - mel.WINDOW_SAMPLES) // mel.HOP_SAMPLES + 1, 0)
        energies = np.empty((hops, mel.BANDS), _ENERGIES)
        energies[:] = mel.log_mel(np.zeros(mel.WINDOW_SAMPLES, np.float32))
        for start, stop in self._parts:
            first, last = (
                max((start - mel.WINDOW_SAMPLES) // mel.HOP_SAMPLES + 1, 0),
                min(-(-stop // mel.HOP_SAMPLES), hops),
            )
            if last > first:
                span = self._samples[first * mel.HOP_SAMPLES : (last - 1) * mel.HOP_SAMPLES + mel.WINDOW_SAMPLES]
                energies[first:last] = mel.log_mel(span)
        return Track(self._samples, self._start_seconds, energies, self._non_finite_count, joined(self._parts))


def _sparse(samples: int) -> NDArray[np.float32]:
    """Zeros that take memory only where they are written to; `np.zeros` would ask for pages of 2 MB."""
    area = mmap.mmap(-1, max(samples, 1) * _SAMPLES.itemsize)
    if hasattr(mmap, "MADV_NOHUGEPAGE"):
        area.madvise(mmap.MADV_NOHUGEPAGE)
    return np.frombuffer(area, _SAMPLES, samples)


def _finite(block: NDArray[np.float32]) -> tuple[NDArray[np.float32], int]:
    """Put 0 for what is no number, and tell how many samples that were."""
    finite = np.isfinite(block)
    if finite.all():
        return np.clip(block, -_LOUDEST, _LOUDEST), 0
    found = int(block.size - np.count_nonzero(finite))
    return np.clip(np.where(finite, block, np.float32(0.0)), -_LOUDEST, _LOUDEST), found


class _Sink:
    """An array that grows at its end, in memory or in a file."""

    def __init__(self, path: Path | None, dtype: np.dtype[np.float16] | np.dtype[np.float32]) -> None:
        self._dtype = dtype
        self._blocks: list[NDArray[np.floating]] = []
        self._file: IO[bytes] | None = path.open("wb") if path else None

    def write(self, block: NDArray[np.floating]) -> None:
        if self._file:
            self._file.write(block.data)
        else:
            self._blocks.append(block.copy())

    def finish(self) -> NDArray[np.floating]:
        """Close the file, if there is one; else return what is in memory."""
        if self._file:
            self._file.close()
        return np.concatenate([block.reshape(-1) for block in self._blocks] or [np.zeros(0, self._dtype)])
