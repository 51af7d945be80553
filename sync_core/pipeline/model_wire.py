"""What a process that embeds and the one that runs the models for all of them say to each other.

The one that embeds opens a model, and then sends pieces of sound, several ahead of the answers, which come in order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sync_core.domain.errors import SyncError
from sync_core.domain.methods import AiModel
from sync_core.models.embedder import Geometry
from sync_core.pipeline.ai_settings import AiSettings


@dataclass(frozen=True, slots=True)
class Open:
    """To the server: this model is meant by everything that follows."""

    model: AiModel
    settings: AiSettings


@dataclass(frozen=True, slots=True)
class Opened:
    """From the server: the model is ready; what `PieceEmbedder` says of it."""

    name: str
    geometry: Geometry
    dims: int
    device: str
    precision: str
    chunk_hops: int
    pieces_at_once: int


@dataclass(frozen=True, slots=True)
class Piece:
    """To the server: sound to be embedded [shape=(n,), float32, mono, 16 kHz]."""

    samples: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Rows:
    """From the server: a piece's embedding [shape=(hops, dims), float32]."""

    rows: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Refused:
    """From the server: why the model cannot be opened, or a piece not be embedded."""

    error: SyncError


@dataclass(frozen=True, slots=True)
class ServerBug:
    """From the server: an error that nobody foresaw, with its traceback as text."""

    traceback: str
