"""YAMNet's network and its log-mel input, from their published definition.

Every layer is a convolution followed by batch normalisation (without scale) and ReLU; layers 2 to 14 are a depthwise
convolution of 3 x 3 and a pointwise one, each normalised. The normalisations are folded into the convolutions when
weights are loaded. The mean of the last layer over time and frequency is the embedding; the classifier is not kept.

Padding is TensorFlow's SAME: with stride 2 and an even size, one row and column at the far end and none at the near.

References
----------
Howard et al., MobileNets: efficient convolutional neural networks for mobile vision applications (2017).
Plakal and Ellis, YAMNet, https://github.com/tensorflow/models/tree/master/research/audioset/yamnet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sync_core.models.embedder import SAMPLE_RATE_HZ
from sync_core.models.errors import ModelUnusable

WIDTHS: Final = (32, 64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024)
STRIDES: Final = (2, 1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)
PATCH_HOPS, BANDS = 96, 64
WINDOW_SAMPLES, HOP_SAMPLES = 400, 160
LOWEST_HZ, HIGHEST_HZ = 125.0, 7_500.0

_FFT_SAMPLES: Final = 512
_LOG_OFFSET: Final = 0.001
_EPSILON: Final = 1e-4


class LogMel(nn.Module):
    """Log of mel magnitudes as YAMNet was trained on [shape=(n_hops, BANDS), float32]."""

    window: Tensor
    filters: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("window", torch.hann_window(WINDOW_SAMPLES, periodic=True), persistent=False)
        self.register_buffer("filters", torch.from_numpy(mel_filters()), persistent=False)

    def forward(self, samples: Tensor) -> Tensor:
        """Hop k covers `samples[160 k : 160 k + 400]`."""
        frames = samples.unfold(0, WINDOW_SAMPLES, HOP_SAMPLES) * self.window
        magnitudes = torch.fft.rfft(frames, n=_FFT_SAMPLES, dim=1).abs()
        return torch.log(magnitudes @ self.filters + _LOG_OFFSET)


def mel_filters() -> NDArray[np.float32]:
    """Triangles of height 1, even on HTK's mel scale [shape=(n_bins, BANDS), float32]; nothing at 0 Hz."""
    mels = _mel(np.arange(_FFT_SAMPLES // 2 + 1) * (SAMPLE_RATE_HZ / _FFT_SAMPLES))[:, None]
    lowest, highest = _mel(np.array([LOWEST_HZ, HIGHEST_HZ]))
    edges = np.linspace(lowest, highest, BANDS + 2)
    rising = (mels - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - mels) / (edges[2:] - edges[1:-1])
    filters = np.maximum(0.0, np.minimum(rising, falling))
    filters[0] = 0.0
    return np.asarray(filters, np.float32)


def _mel(hz: NDArray[np.floating]) -> NDArray[np.float64]:
    return np.asarray(1127.0 * np.log1p(hz / 700.0), np.float64)


class YamNet(nn.Module):
    """Patches [shape=(n, PATCH_HOPS, BANDS)] to embeddings [shape=(n, widths[-1])]."""

    def __init__(self, widths: Sequence[int] = WIDTHS) -> None:
        super().__init__()
        self.dims = widths[-1]
        steps: list[nn.Module] = []
        for part in parts(widths):
            if part.stride == 2:
                steps.append(nn.ZeroPad2d((0, 1, 0, 1)))
            steps += [part.convolution(), nn.ReLU(inplace=True)]
        self.steps = nn.Sequential(*steps)

    def forward(self, patches: Tensor) -> Tensor:
        out: Tensor = self.steps(patches[:, None])
        return out.mean(dim=(2, 3))

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> YamNet:
        """Build the network that the tensors belong to, whatever its widths.

        Parameters
        ----------
        tensors
            For each part, as `part_names` gives it: `.weight` [torch layout], `.beta`, `.moving_mean`,
            `.moving_variance`.

        Raises
        ------
        ModelUnusable
            If a tensor is missing or has another shape than its place in the network asks for.
        """
        net = cls(_widths(tensors))
        for part, convolution in zip(parts(_widths(tensors)), net.convolutions(), strict=True):
            weight, bias = _folded(part.name, tensors)
            if weight.shape != convolution.weight.shape:
                raise ModelUnusable(
                    f"{part.name}.weight has shape {tuple(weight.shape)}, YAMNet's is {tuple(convolution.weight.shape)}"
                )
            convolution.load_state_dict({"weight": weight, "bias": bias})
        return net.eval()

    def convolutions(self) -> list[nn.Conv2d]:
        """All convolutions in the order of `parts`."""
        return [step for step in self.steps if isinstance(step, nn.Conv2d)]


class Part:
    """One convolution of the network: its name, and how it is made."""

    def __init__(self, name: str, inputs: int, outputs: int, stride: int, groups: int, kernel: int) -> None:
        self.name = name
        self.stride = stride
        self._shape = inputs, outputs, groups, kernel

    def convolution(self) -> nn.Conv2d:
        """Make it; the padding of stride 2 is a step of its own."""
        inputs, outputs, groups, kernel = self._shape
        padding = kernel // 2 if self.stride == 1 else 0
        return nn.Conv2d(inputs, outputs, kernel, stride=self.stride, padding=padding, groups=groups)


def parts(widths: Sequence[int]) -> list[Part]:
    """List the convolutions in order."""
    made = [Part("layer1.conv", 1, widths[0], STRIDES[0], 1, 3)]
    for index in range(1, len(widths)):
        narrow, wide = widths[index - 1], widths[index]
        made.append(Part(f"layer{index + 1}.depthwise_conv", narrow, narrow, STRIDES[index], narrow, 3))
        made.append(Part(f"layer{index + 1}.pointwise_conv", narrow, wide, 1, 1, 1))
    return made


def _widths(tensors: Mapping[str, Tensor]) -> list[int]:
    names = ["layer1.conv"] + [f"layer{index}.pointwise_conv" for index in range(2, len(STRIDES) + 1)]
    return [len(_tensor(f"{name}.weight", tensors)) for name in names]


def _folded(name: str, tensors: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Weight and bias of a convolution that does its normalisation's work too."""
    scale = torch.rsqrt(_tensor(f"{name}.moving_variance", tensors) + _EPSILON)
    bias = _tensor(f"{name}.beta", tensors) - _tensor(f"{name}.moving_mean", tensors) * scale
    return _tensor(f"{name}.weight", tensors) * scale[:, None, None, None], bias


def _tensor(name: str, tensors: Mapping[str, Tensor]) -> Tensor:
    if name not in tensors:
        raise ModelUnusable(f"tensor {name} is missing, so this is not YAMNet or not all of it")
    return tensors[name].float()
