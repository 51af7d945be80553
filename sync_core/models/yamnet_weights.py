"""Reading YAMNet's Keras weight files.

Two layouts are in use. Keras 2 writes one group per layer under its name, `layer2/depthwise_conv/bn`, and in it one
dataset per variable under its name. Keras 3 writes `layers/<class>_<n>/vars/<i>`, numbered in the order in which the
layers of a class were made, which is the network's own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import h5py
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor

from sync_core.models.errors import ModelUnusable
from sync_core.models.yamnet_net import STRIDES, YamNet, parts

_BY_NAME: Final = re.compile(r"layer(\d+)/(conv|depthwise_conv|pointwise_conv)(/bn)?/(?:.*/)?(\w+):0$")
_BY_ORDER: Final = re.compile(r"(conv2d|depthwise_conv2d|batch_normalization)(?:_(\d+))?/vars/(\d)$")
_NORMALISATION: Final = ("beta", "moving_mean", "moving_variance")
_DEPTHWISE_AXES, _PLAIN_AXES = (2, 3, 0, 1), (3, 2, 0, 1)


def convert(keras_file: Path, weights: Path) -> None:
    """Write the embedding part of YAMNet's Keras weights as safetensors.

    Parameters
    ----------
    keras_file
        `yamnet.h5` as published, or the same weights saved by Keras 3 (`.weights.h5`).
    weights
        File to write.

    Raises
    ------
    ModelUnusable
        If the file cannot be read, lacks a tensor, or holds another network.
    """
    tensors = read_keras(keras_file)
    YamNet.from_tensors(tensors)
    save_file(tensors, weights)


def read_keras(keras_file: Path) -> dict[str, Tensor]:
    """Read the tensors that `YamNet.from_tensors` takes, in torch's layout."""
    datasets = _datasets(keras_file)
    found = _by_name(datasets) or _by_order(datasets)
    if not found:
        raise ModelUnusable(f"{keras_file} holds no layer of YAMNet")
    return {name: _in_torch_layout(name, value) for name, value in found.items()}


def _datasets(keras_file: Path) -> dict[str, NDArray[np.float32]]:
    found: dict[str, NDArray[np.float32]] = {}

    def keep(name: str, node: object) -> None:
        if isinstance(node, h5py.Dataset):
            found[name] = np.asarray(node, np.float32)

    try:
        with h5py.File(keras_file) as file:
            file.visititems(keep)
    except OSError as error:
        raise ModelUnusable(f"{keras_file} cannot be read as HDF5, or is cut short: {error}") from error
    return found


def _by_name(datasets: Mapping[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
    found = {}
    for path, value in datasets.items():
        match = _BY_NAME.search(path)
        if match:
            layer, part, _, variable = match.groups()
            kind = variable if variable in _NORMALISATION else "weight"
            found[f"layer{layer}.{part}.{kind}"] = value
    return found


def _by_order(datasets: Mapping[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
    """Name tensors by their place: convolutions and normalisations are numbered through all layers."""
    names = [part.name for part in parts([1] * len(STRIDES))]
    places = {
        "conv2d": [name for name in names if not name.endswith("depthwise_conv")],
        "depthwise_conv2d": [name for name in names if name.endswith("depthwise_conv")],
        "batch_normalization": names,
    }
    found = {}
    for path, value in datasets.items():
        match = _BY_ORDER.search(path)
        if match:
            kind, number, variable = match.group(1), int(match.group(2) or 0), int(match.group(3))
            if number < len(places[kind]):
                last = _NORMALISATION[variable] if kind == "batch_normalization" else "weight"
                found[f"{places[kind][number]}.{last}"] = value
    return found


def _in_torch_layout(name: str, value: NDArray[np.float32]) -> Tensor:
    if name.endswith(".weight"):
        value = value.transpose(_DEPTHWISE_AXES if "depthwise" in name else _PLAIN_AXES)
    return torch.from_numpy(np.ascontiguousarray(value))
