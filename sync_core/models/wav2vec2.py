"""The wav2vec2 family as embedders: Wav2Vec2, HuBERT and WavLM checkpoints, through transformers.

Nothing here touches the network, and only safetensors are loaded: a checkpoint cannot run code.

References
----------
Baevski et al., wav2vec 2.0: a framework for self-supervised learning of speech representations (2020).
Pasad, Chou and Livescu, Layer-wise analysis of a self-supervised speech representation model (2021).
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from safetensors import SafetensorError
from torch import Tensor
from transformers import PretrainedConfig, PreTrainedModel

from sync_core.models.embedder import Geometry, OnProgress, embed_in_pieces, ignore
from sync_core.models.errors import ModelUnusable
from sync_core.models.torch_runtime import PRECISIONS, BatchRunner, default_precision, device_errors, first_line

ARCHITECTURES: Final = {
    "wav2vec2": transformers.Wav2Vec2Model,
    "hubert": transformers.HubertModel,
    "wavlm": transformers.WavLMModel,
}
DEFAULT_HIDDEN_LAYER: Final = 6
"""Of 12 in the base size. The lower half describes sound, the upper half what is said, which a dub replaces."""
CHUNK_HOPS, MARGIN_HOPS = 1_000, 50
"""20 s at a time, with 1 s more on either side that is computed and dropped."""

_CPU_BATCH, _GPU_BATCH = 2, 32
_NOT_NEEDED: Final = {"masked_spec_embed"}
"""Stands in for masked sound in training, and for nothing afterwards."""
_VARIANCE_FLOOR: Final = 1e-7
_GRID_SAMPLES: Final = 160


class Wav2Vec2Embedder:
    """Runs an encoder up to one of its layers.

    Parameters
    ----------
    encoder
        A model of `ARCHITECTURES` whose last layer is the one to listen to.
    normalise
        Whether the model was trained on pieces of zero mean and unit variance.
    device
        `cpu` or a GPU such as `cuda:0`.
    precision
        None: half on a GPU, single on a CPU.

    Notes
    -----
    Attention spans a chunk, and base models also normalise the first convolution over it, so that a hop's vector
    depends a little on the chunk that it was computed in. Embeddings of two files are compared by how they move, and
    stay comparable; tests/models/test_wav2vec2.py measures the difference.
    """

    name = "wav2vec2"
    chunk_hops = CHUNK_HOPS

    def __init__(
        self,
        encoder: PreTrainedModel,
        *,
        normalise: bool = True,
        device: str = "cpu",
        precision: str | None = None,
    ) -> None:
        self.device = device
        self.precision = precision or default_precision(device)
        self.geometry = _geometry(encoder.config)
        self.dims: int = encoder.config.hidden_size
        self._normalise = normalise
        with device_errors(device, "the model"):
            self._encoder = encoder.to(device, PRECISIONS[self.precision]).eval()
        self._runner = BatchRunner(self._forward, device, largest_batch=_CPU_BATCH if device == "cpu" else _GPU_BATCH)

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        hidden_layer: int = DEFAULT_HIDDEN_LAYER,
        device: str = "cpu",
        precision: str | None = None,
    ) -> Wav2Vec2Embedder:
        """Load a checkpoint folder: config.json and model.safetensors, possibly in shards.

        Parameters
        ----------
        hidden_layer
            1 to the number of layers; those above are not loaded. Where a checkpoint has fewer than the default, its
            last is taken.

        Raises
        ------
        ModelUnusable
            If a file is absent or damaged, the architecture is another, or a tensor that the encoder needs is missing
            or of another shape. Heads for recognition or training are neither needed nor loaded.
        """
        encoder = _load(folder, hidden_layer)
        return cls(encoder, normalise=_was_normalised(folder), device=device, precision=precision)

    @property
    def pieces_at_once(self) -> int:
        return self._runner.batch

    def embed(self, samples: NDArray[np.float32], *, on_progress: OnProgress = ignore) -> NDArray[np.float32]:
        """Embed a recording; see `Embedder.embed`. Row k covers `samples[320 k : 320 k + 400]` at the least."""
        return embed_in_pieces(self, samples, on_progress)

    def embed_pieces(self, pieces: NDArray[np.float32]) -> NDArray[np.float32]:
        """Embed equal pieces; see `PieceEmbedder.embed_pieces`."""
        return self._runner.run(torch.from_numpy(pieces)).numpy()

    def _forward(self, pieces: Tensor) -> Tensor:
        if self._normalise:
            variance, mean = torch.var_mean(pieces, dim=1, keepdim=True, correction=0)
            pieces = (pieces - mean) * torch.rsqrt(variance + _VARIANCE_FLOOR)
        hidden: Tensor = self._encoder(pieces.to(PRECISIONS[self.precision])).last_hidden_state
        return hidden


def _geometry(config: PretrainedConfig) -> Geometry:
    """Follow the convolutions of the front end from its hops back to samples."""
    hop = math.prod(config.conv_stride)
    window = 1
    for kernel, stride in zip(reversed(config.conv_kernel), reversed(config.conv_stride), strict=True):
        window = (window - 1) * stride + kernel
    if hop % _GRID_SAMPLES:
        raise ModelUnusable(f"the model's hop of {hop} samples is no multiple of {_GRID_SAMPLES}")
    return Geometry(hop, window, (window - 1) / 2, MARGIN_HOPS)


def _load(folder: Path, hidden_layer: int) -> PreTrainedModel:
    kind, layers = _kind(folder)
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    model = ARCHITECTURES[kind]
    try:
        config = model.config_class.from_pretrained(folder, local_files_only=True)
        config.num_hidden_layers = _layer_within(hidden_layer, layers, folder)
        config.add_adapter = False
        encoder, report = model.from_pretrained(
            folder,
            config=config,
            attn_implementation="sdpa" if model._supports_sdpa else "eager",  # noqa: SLF001  WavLM has none
            local_files_only=True,
            use_safetensors=True,
            output_loading_info=True,
        )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise ModelUnusable(f"{folder} cannot be loaded as {kind}: {first_line(error)}") from error
    _refuse_gaps(report, folder)
    return encoder


def _kind(folder: Path) -> tuple[str, int]:
    """Read the architecture and the number of layers from the config."""
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
        kind, layers = str(config["model_type"]), int(config["num_hidden_layers"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelUnusable(f"{folder} has no config.json that names a model and its layers") from error
    if kind not in ARCHITECTURES:
        raise ModelUnusable(f"{folder} holds a {kind} model; it must be one of {', '.join(ARCHITECTURES)}")
    return kind, layers


def _layer_within(hidden_layer: int, layers: int, folder: Path) -> int:
    if hidden_layer == DEFAULT_HIDDEN_LAYER:
        return min(hidden_layer, layers)
    if not 1 <= hidden_layer <= layers:
        raise ModelUnusable(f"{folder} has {layers} layers; hidden layer {hidden_layer} is not one of them")
    return hidden_layer


def _refuse_gaps(report: dict[str, Any], folder: Path) -> None:
    """Refuse what transformers would fill with random numbers and a warning."""
    missing = sorted(set(report["missing_keys"]) - _NOT_NEEDED)
    mismatched = sorted(str(key[0]) if isinstance(key, tuple) else str(key) for key in report["mismatched_keys"])
    for gaps, what in ((missing, "lacks"), (mismatched, "has another shape than its config says for")):
        if gaps:
            more = f" and {len(gaps) - 1} more tensors" if len(gaps) > 1 else ""
            raise ModelUnusable(f"{folder} {what} {gaps[0]}{more}")


def _was_normalised(folder: Path) -> bool:
    try:
        return bool(json.loads((folder / "preprocessor_config.json").read_text("utf-8")).get("do_normalize", True))
    except (OSError, ValueError):
        return True
