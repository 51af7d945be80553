"""YAMNet built with Keras from its published definition: the oracle of the one in torch.

Run it where tensorflow and tf-keras can be installed; nothing else here needs them:

    python tests/models/keras_yamnet.py compare        the full network, random weights, against sync_core.models
    python tests/models/keras_yamnet.py write FOLDER   the files of a narrow one that the tests read
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
import tf_keras

FULL = (32, 64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024)
NARROW = (2, 4, 6, 6, 8, 8, 12, 12, 12, 12, 12, 12, 16, 16)
STRIDES = (2, 1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)
SECONDS = 2
TOLERANCE = 1e-4


def build(layers, widths, classes, joint):
    """The network from patches to (embeddings, scores); `joint` joins the words of names."""
    patches = layers.Input((96, 64))
    net = layers.Reshape((96, 64, 1))(patches)

    def normalised(net, name):
        net = layers.BatchNormalization(center=True, scale=False, epsilon=1e-4, name=joint.join([*name, "bn"]))(net)
        return layers.ReLU(name=joint.join([*name, "relu"]))(net)

    for index, (width, stride) in enumerate(zip(widths, STRIDES, strict=True), start=1):
        layer, same = f"layer{index}", {"padding": "same", "use_bias": False}
        if index == 1:
            name = (layer, "conv")
            net = normalised(layers.Conv2D(width, 3, strides=stride, name=joint.join(name), **same)(net), name)
            continue
        name = (layer, "depthwise_conv")
        net = normalised(layers.DepthwiseConv2D(3, strides=stride, name=joint.join(name), **same)(net), name)
        name = (layer, "pointwise_conv")
        net = normalised(layers.Conv2D(width, 1, name=joint.join(name), **same)(net), name)
    embeddings = layers.GlobalAveragePooling2D()(net)
    scores = layers.Activation("sigmoid")(layers.Dense(classes)(embeddings))
    return patches, embeddings, scores


def model(library, widths, classes, joint):
    patches, embeddings, scores = build(library.layers, widths, classes, joint)
    made = library.Model(patches, [embeddings, scores])
    rng = np.random.default_rng(7)
    for weight in made.weights:
        weight.assign(_random(weight, rng))
    return made


def _random(weight, rng):
    """Weights under which signals neither die out nor explode, and normalisation does something."""
    shape = tuple(weight.shape)
    if "variance" in weight.name:
        return rng.uniform(0.5, 2.0, shape)
    if len(shape) < 2:
        return rng.normal(0.0, 0.2, shape)
    fan_in = shape[0] * shape[1] * (1 if "depthwise" in weight.name else shape[2]) if len(shape) == 4 else shape[0]
    return rng.normal(0.0, np.sqrt(2.0 / fan_in), shape)


def log_mel_patches(samples, patch_hop):
    """Patches as the published definition makes them, for samples that fill them exactly."""
    magnitudes = tf.abs(tf.signal.stft(samples, frame_length=400, frame_step=160, fft_length=512))
    filters = tf.signal.linear_to_mel_weight_matrix(64, 257, 16_000, 125.0, 7_500.0)
    return tf.signal.frame(tf.math.log(magnitudes @ filters + 0.001), 96, patch_hop, axis=0)


def sound(seconds):
    """Tones that come and go over noise [shape=(n,), float32]."""
    rng = np.random.default_rng(8)
    at = np.arange(int(seconds * 16_000)) / 16_000
    tones = [np.sin(2 * np.pi * hz * at) * (np.sin(2 * np.pi * at * rate) > 0) for hz, rate in ((220, 1), (1_330, 2.3))]
    return (0.1 * sum(tones) + 0.01 * rng.standard_normal(at.size)).astype(np.float32)


def write(folder):
    samples = sound(SECONDS).astype(np.float16).astype(np.float32)
    patches = log_mel_patches(samples, 10)
    for library, joint, name in ((tf_keras, "/", "keras2.h5"), (keras, "_", "keras3.weights.h5")):
        made = model(library, NARROW, 5, joint)
        made.save_weights(folder / name)
        stored = {"samples": samples.astype(np.float16), "patch": patches[3], "embeddings": made.predict(patches)[0]}
        np.savez_compressed(folder / f"{name.partition('.')[0]}.npz", **stored)


def compare():
    from sync_core.models.yamnet import YamnetEmbedder
    from sync_core.models.yamnet_net import YamNet
    from sync_core.models.yamnet_weights import read_keras

    samples = sound(20)
    made = model(tf_keras, FULL, 521, "/")
    print(f"{made.count_params():,} parameters")
    with tempfile.TemporaryDirectory() as folder:
        made.save_weights(Path(folder) / "yamnet.h5")
        ours = YamnetEmbedder(YamNet.from_tensors(read_keras(Path(folder) / "yamnet.h5"))).embed(samples)
    theirs = made.predict(log_mel_patches(samples, 10), verbose=0)[0]
    worst = float(np.abs(ours - theirs).max())
    print(f"{theirs.shape} embeddings of size {np.abs(theirs).mean():.3f}, largest difference {worst:.2e}")
    sys.exit(worst > TOLERANCE)


if __name__ == "__main__":
    write(Path(sys.argv[2])) if sys.argv[1] == "write" else compare()
