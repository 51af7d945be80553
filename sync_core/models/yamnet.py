"""YAMNet as an embedder: what kind of sound is heard, ten times a second or more."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from sync_core.models.embedder import Geometry, OnProgress, embed_in_pieces, ignore
from sync_core.models.errors import ModelUnusable
from sync_core.models.torch_runtime import PRECISIONS, BatchRunner, default_precision, device_errors
from sync_core.models.yamnet_net import HOP_SAMPLES, PATCH_HOPS, WINDOW_SAMPLES, LogMel, YamNet

WEIGHTS_NAME: Final = "model.safetensors"
PATCH_SAMPLES: Final = (PATCH_HOPS - 1) * HOP_SAMPLES + WINDOW_SAMPLES
PATCH_CENTRE: Final = 8_709
"""Mean place of the paths from samples to an embedding: 57 ms behind the patch's middle, for SAME padding leans on the
near end five times."""

_CHUNK_SECONDS: Final = 60
_CPU_BATCH, _GPU_BATCH = 16, 1_024
_CPU_PATCH_HOP, _GPU_PATCH_HOP = 10, 2


class YamnetEmbedder:
    """Runs YAMNet on patches of 0.975 s.

    Parameters
    ----------
    net
        The network, in single precision.
    device
        `cpu` or a GPU such as `cuda:0`.
    precision
        None: half on a GPU, single on a CPU. The log-mel input is always made in single precision.
    patch_hop
        From one patch to the next, in hops of 10 ms; 48 when YAMNet was trained. None: 10 on a CPU, 2 on a GPU. Files
        that are shifted by half a hop against each other look less alike the longer the hop is, for the network's
        strides see its input in steps of up to 0.32 s.
    """

    name = "yamnet"
    pieces_at_once = 1
    """A piece is cut into more patches than the device takes at once."""

    def __init__(
        self, net: YamNet, *, device: str = "cpu", precision: str | None = None, patch_hop: int | None = None
    ) -> None:
        self.device = device
        self.precision = precision or default_precision(device)
        self.dims = net.dims
        self._patch_hop = patch_hop or (_CPU_PATCH_HOP if device == "cpu" else _GPU_PATCH_HOP)
        self.geometry = Geometry(
            hop_samples=self._patch_hop * HOP_SAMPLES,
            window_samples=PATCH_SAMPLES,
            first_centre=PATCH_CENTRE,
            margin_hops=0,
        )
        with device_errors(device, "the model"):
            self._log_mel = LogMel().to(device)
            self._net = net.to(device, PRECISIONS[self.precision])
        self._runner = BatchRunner(self._net, device, largest_batch=_CPU_BATCH if device == "cpu" else _GPU_BATCH)

    @classmethod
    def open(cls, folder: Path, *, device: str = "cpu", precision: str | None = None) -> YamnetEmbedder:
        """Load converted weights.

        Raises
        ------
        ModelUnusable
            If the weight file is absent, truncated, or not YAMNet's.
        """
        return cls(YamNet.from_tensors(read_tensors(folder / WEIGHTS_NAME)), device=device, precision=precision)

    @property
    def chunk_hops(self) -> int:
        return max(int(_CHUNK_SECONDS / self.geometry.hop_seconds), 1)

    def embed(self, samples: NDArray[np.float32], *, on_progress: OnProgress = ignore) -> NDArray[np.float32]:
        """Embed a recording; see `Embedder.embed`. Row k covers a patch from sample `hop_samples * k` on."""
        return embed_in_pieces(self, samples, on_progress)

    def embed_pieces(self, pieces: NDArray[np.float32]) -> NDArray[np.float32]:
        """Embed equal pieces; see `PieceEmbedder.embed_pieces`."""
        patches = torch.cat([self._patches(torch.from_numpy(piece)) for piece in pieces])
        return self._runner.run(patches).numpy().reshape(len(pieces), -1, self.dims)

    @torch.inference_mode()
    def _patches(self, samples: Tensor) -> Tensor:
        """Overlapping views of the log-mel energies [shape=(n, PATCH_HOPS, BANDS)]."""
        with device_errors(self.device, "one piece"):
            log_mel = self._log_mel(samples.to(self.device)).to(PRECISIONS[self.precision])
        views: Tensor = log_mel.unfold(0, PATCH_HOPS, self._patch_hop).transpose(1, 2)
        return views


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file.

    Raises
    ------
    ModelUnusable
        If it is absent or cannot be read.
    """
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise ModelUnusable(f"{path} cannot be read as safetensors: {error}") from error
