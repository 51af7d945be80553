"""Checkpoints of the right kind, random and next to no width: for plumbing and geometry, not for accuracy."""

from __future__ import annotations

import json
from pathlib import Path

import torch
import transformers

LAYERS, DIMS = 3, 32

_CONFIGS = {
    "wav2vec2": transformers.Wav2Vec2Config,
    "hubert": transformers.HubertConfig,
    "wavlm": transformers.WavLMConfig,
}
_MODELS = {
    "wav2vec2": transformers.Wav2Vec2Model,
    "hubert": transformers.HubertModel,
    "wavlm": transformers.WavLMModel,
}


def config(kind="wav2vec2", **options):
    return _CONFIGS[kind](
        **{
            "hidden_size": DIMS,
            "num_hidden_layers": LAYERS,
            "num_attention_heads": 2,
            "intermediate_size": 48,
            "conv_dim": (16,) * 7,
            "num_conv_pos_embeddings": 16,
            "num_conv_pos_embedding_groups": 2,
            **options,
        }
    )


def write_checkpoint(folder: Path, kind="wav2vec2", model=None, **options) -> Path:
    """Save a tiny random model as the hub would give it."""
    torch.manual_seed(5)
    (model or _MODELS[kind])(config(kind, **options)).save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps({"do_normalize": True}))
    return folder
