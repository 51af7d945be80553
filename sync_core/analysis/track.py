"""One side of a pair as the analysis sees it: mono samples and their log-mel energies."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

import numpy as np
from numpy.typing import NDArray

from sync_core.analysis import mel

ANALYSIS_RATE_HZ: Final = 16_000

_LOUDEST: Final = np.float32(1e3)
"""60 dB over full scale; a sample beyond it is damage, and its square must not overflow."""


_SILENT_HOPS: Final = 4096
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
    """

    samples: NDArray[np.float32]
    start_seconds: float
    log_mel: NDArray[np.float16]
    non_finite_count: int = 0

    @property
    def duration_seconds(self) -> float:
        return self.samples.size / ANALYSIS_RATE_HZ


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
        block = self._finite(np.ascontiguousarray(block, np.float32).reshape(-1))
        self._samples.write(block)
        pending = np.concatenate([self._carry, block])
        energies = mel.log_mel(pending)
        self._energies.write(energies)
        self._carry = pending[len(energies) * mel.HOP_SAMPLES :]

    def skip(self, samples: int) -> None:
        """Append silence in place of what is not looked at; on a disk it takes little room and time."""
        lead = min(samples, mel.WINDOW_SAMPLES + mel.HOP_SAMPLES)
        self.push(np.zeros(lead, np.float32))
        hops = (samples - lead) // mel.HOP_SAMPLES
        self._samples.skip(hops * mel.HOP_SAMPLES)
        silent = np.repeat(mel.log_mel(np.zeros(mel.WINDOW_SAMPLES, np.float32)), _SILENT_HOPS, axis=0)
        for start in range(0, hops, _SILENT_HOPS):
            self._energies.write(silent[: hops - start])
        self.push(np.zeros(samples - lead - hops * mel.HOP_SAMPLES, np.float32))

    def finish(self) -> Track:
        """Close the spool files and return the track."""
        samples, energies = self._samples.finish(), self._energies.finish()
        if self._spool:
            return open_track(self._spool, self._start_seconds, self._non_finite_count)
        return Track(samples, self._start_seconds, energies.reshape(-1, mel.BANDS), self._non_finite_count)

    def _finite(self, block: NDArray[np.float32]) -> NDArray[np.float32]:
        finite = np.isfinite(block)
        if finite.all():
            return np.clip(block, -_LOUDEST, _LOUDEST)
        self._non_finite_count += int(block.size - np.count_nonzero(finite))
        return np.clip(np.where(finite, block, np.float32(0.0)), -_LOUDEST, _LOUDEST)


class _Sink:
    """An array that grows at its end, in memory or in a file."""

    def __init__(self, path: Path | None, dtype: np.dtype[np.float16] | np.dtype[np.float32]) -> None:
        self._dtype = dtype
        self._blocks: list[NDArray[np.floating]] = []
        self._file: IO[bytes] | None = path.open("wb") if path else None
        self._size = 0

    def write(self, block: NDArray[np.floating]) -> None:
        self._size += block.size
        if self._file:
            self._file.write(block.data)
        else:
            self._blocks.append(block.copy())

    def skip(self, count: int) -> None:
        """Append zeros."""
        if self._file:
            self._size += count
            self._file.truncate(self._size * self._dtype.itemsize)
            self._file.seek(0, os.SEEK_END)
        else:
            self.write(np.zeros(count, self._dtype))

    def finish(self) -> NDArray[np.floating]:
        """Close the file, if there is one; else return what is in memory."""
        if self._file:
            self._file.close()
        return np.concatenate([block.reshape(-1) for block in self._blocks] or [np.zeros(0, self._dtype)])
