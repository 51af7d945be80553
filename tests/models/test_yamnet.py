"""YAMNet in torch: the published definition, its weights from either layout, and where its hops are.

The files in `data` were written by `keras_yamnet.py`: a network of YAMNet's shape but a thirtieth of its width, with
random weights. They test plumbing and arithmetic, and say nothing about accuracy.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from sync_core.models import yamnet_weights
from sync_core.models.errors import ModelUnusable
from sync_core.models.yamnet import PATCH_SAMPLES, WEIGHTS_NAME, YamnetEmbedder, read_tensors
from sync_core.models.yamnet_net import LogMel, YamNet

DATA = Path(__file__).parent / "data"
LAYOUTS = {"keras2": "keras2.h5", "keras3": "keras3.weights.h5"}

either_layout = pytest.mark.parametrize("layout", LAYOUTS)


def stored(layout):
    with np.load(DATA / f"{layout}.npz") as file:
        return {name: file[name].astype(np.float32) for name in file.files}


def narrow(layout="keras2", **options):
    return YamnetEmbedder(YamNet.from_tensors(yamnet_weights.read_keras(DATA / LAYOUTS[layout])), **options)


@either_layout
def test_embeddings_are_those_of_keras(layout):
    known = stored(layout)
    embedding = narrow(layout).embed(known["samples"])
    assert np.abs(known["embeddings"]).mean() > 0.1
    np.testing.assert_allclose(embedding, known["embeddings"], atol=1e-5)


def test_log_mel_patches_are_those_of_tensorflow():
    known = stored("keras2")
    log_mel = LogMel()(torch.from_numpy(known["samples"])).numpy()
    np.testing.assert_allclose(log_mel[30 : 30 + 96], known["patch"], atol=1e-4)


def test_the_full_network_has_as_many_weights_as_published():
    classifier, statistics = 1_024 * 521 + 521, 2 * 10_944
    assert sum(weight.numel() for weight in YamNet().parameters()) == 3_751_369 - classifier - statistics


@either_layout
def test_converted_weights_give_the_same(layout, tmp_path):
    yamnet_weights.convert(DATA / LAYOUTS[layout], tmp_path / WEIGHTS_NAME)
    known = stored(layout)
    opened = YamnetEmbedder.open(tmp_path)
    np.testing.assert_array_equal(opened.embed(known["samples"]), narrow(layout).embed(known["samples"]))


def adding_network():
    """Every path through it counts alike."""
    net = YamNet([1] * 14).double()
    for convolution in net.convolutions():
        torch.nn.init.ones_(convolution.weight)
        torch.nn.init.zeros_(convolution.bias)
    return net


def test_a_hop_sees_its_patch_and_nothing_else():
    loud = (100 * torch.randn(40_000, generator=torch.Generator().manual_seed(1))).requires_grad_()
    patches = LogMel()(loud).unfold(0, 96, 10).transpose(1, 2)
    adding_network()(patches[7:8].double()).sum().backward()
    seen = loud.grad.nonzero()
    assert 0 <= seen.min() - 7 * 1_600 <= 1
    assert 0 <= 7 * 1_600 + PATCH_SAMPLES - 1 - seen.max() <= 1


def test_a_hop_is_centred_where_the_paths_through_the_network_begin():
    patch = torch.ones(1, 96, 64, dtype=torch.float64, requires_grad=True)
    adding_network()(patch).sum().backward()
    middle = np.average(np.arange(96), weights=patch.grad[0].sum(1).numpy())
    assert narrow().geometry.centre_sample(0) == pytest.approx(160 * middle + 200, abs=1)


@pytest.mark.parametrize("samples", [0, PATCH_SAMPLES - 1, PATCH_SAMPLES, PATCH_SAMPLES + 1_600])
def test_hops_are_patches_that_lie_wholly_inside(samples):
    model = narrow()
    embedding = model.embed(stored("keras2")["samples"][:samples])
    assert embedding.shape == (model.geometry.hops(samples), 16)


def test_pieces_give_what_the_whole_gives():
    model = narrow()
    sound = np.tile(stored("keras2")["samples"], 35)
    seen: list[float] = []
    long = model.embed(sound, on_progress=seen.append)
    assert len(seen) == 2
    np.testing.assert_allclose(model.embed(sound[580 * 1_600 :])[:30], long[580:610], atol=1e-5)


def test_the_hop_is_a_setting():
    known = stored("keras2")
    fine, coarse = narrow().embed(known["samples"]), narrow(patch_hop=20)
    assert coarse.geometry.hop_seconds == 0.2
    np.testing.assert_allclose(coarse.embed(known["samples"]), fine[::2], atol=1e-6)


def test_half_precision_is_near_single():
    known = stored("keras2")
    half = narrow(precision="bfloat16").embed(known["samples"])
    size = np.abs(known["embeddings"]).mean()
    assert np.abs(half - known["embeddings"]).mean() < 0.03 * size


@either_layout
def test_a_truncated_keras_file_is_refused(layout, tmp_path):
    path = tmp_path / "cut.h5"
    path.write_bytes((DATA / LAYOUTS[layout]).read_bytes()[:100_000])
    with pytest.raises(ModelUnusable, match=r"cut\.h5"):
        yamnet_weights.convert(path, tmp_path / WEIGHTS_NAME)


def test_a_keras_file_of_another_network_is_refused(tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["dense/dense/kernel:0"] = np.zeros((3, 4), np.float32)
    with pytest.raises(ModelUnusable, match="no layer of YAMNet"):
        yamnet_weights.convert(tmp_path / "other.h5", tmp_path / WEIGHTS_NAME)


@either_layout
def test_a_keras_file_without_one_tensor_is_refused(layout, tmp_path):
    path = tmp_path / "less.h5"
    shutil.copy(DATA / LAYOUTS[layout], path)
    with h5py.File(path, "a") as file:
        if layout == "keras2":
            del file["layer5/depthwise_conv/bn/layer5/depthwise_conv/bn/beta:0"]
        else:
            del file["layers/depthwise_conv2d_3/vars/0"]
    with pytest.raises(ModelUnusable, match=r"layer5\.depthwise_conv\.\w+ is missing"):
        yamnet_weights.convert(path, tmp_path / WEIGHTS_NAME)


def test_a_tensor_of_another_shape_is_refused():
    tensors = yamnet_weights.read_keras(DATA / "keras2.h5")
    tensors["layer9.depthwise_conv.weight"] = torch.zeros(12, 1, 5, 5)
    with pytest.raises(ModelUnusable, match=r"layer9\.depthwise_conv"):
        YamNet.from_tensors(tensors)


def test_damaged_weights_are_refused(tmp_path):
    with pytest.raises(ModelUnusable, match="cannot be read"):
        read_tensors(tmp_path / WEIGHTS_NAME)
    yamnet_weights.convert(DATA / "keras2.h5", tmp_path / WEIGHTS_NAME)
    whole = (tmp_path / WEIGHTS_NAME).read_bytes()
    (tmp_path / WEIGHTS_NAME).write_bytes(whole[:-100])
    with pytest.raises(ModelUnusable, match="cannot be read"):
        YamnetEmbedder.open(tmp_path)


def test_other_weights_under_its_name_are_refused(tmp_path):
    save_file({"encoder.weight": torch.zeros(2, 2)}, tmp_path / WEIGHTS_NAME)
    assert load_file(tmp_path / WEIGHTS_NAME)
    with pytest.raises(ModelUnusable, match=r"layer1\.conv\.weight is missing"):
        YamnetEmbedder.open(tmp_path)
