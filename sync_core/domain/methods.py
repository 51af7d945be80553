"""The analysis methods and AI models by name, and how results call them."""

from __future__ import annotations

from enum import StrEnum

from sync_core.domain.errors import InputError
from sync_core.domain.lists import split_list


class Method(StrEnum):
    """A way to find candidates for the offset."""

    MFCC = "mfcc"
    ONSET = "onset"
    SPECTRAL = "spectral"
    AI = "ai"


class AiModel(StrEnum):
    """What the `ai` method embeds the audio with."""

    WAV2VEC2 = "wav2vec2"
    YAMNET = "yamnet"
    SPECTRAL = "spectral"


class Depth(StrEnum):
    """How much of a pair is looked at."""

    FULL = "full"
    QUICK = "quick"


DEFAULT_METHODS = (Method.MFCC, Method.ONSET, Method.SPECTRAL)
DEFAULT_AI_MODEL = AiModel.WAV2VEC2

_LABELS = {Method.MFCC: "MFCC", Method.ONSET: "Onset", Method.SPECTRAL: "Spectral", Method.AI: "AI"}
_MODEL_LABELS = {AiModel.WAV2VEC2: "Wav2Vec2", AiModel.YAMNET: "YAMNet", AiModel.SPECTRAL: "Spectral"}

DESCRIPTIONS = {
    Method.MFCC: "Cepstral shape of the spectrum; steady under level and tone changes.",
    Method.ONSET: "Energy rises in a few bands; strong on effects and rhythmic music.",
    Method.SPECTRAL: "Band-wise energy slopes over the whole spectrum; the most sensitive of the three.",
    Method.AI: "Embeddings of a neural network; for dubs that share little but their content.",
}


def label(method: Method, model: AiModel | None = None) -> str:
    """Name a method as results and the methods list show it.

    Examples
    --------
    >>> label(Method.MFCC)
    'MFCC'
    >>> label(Method.AI, AiModel.WAV2VEC2)
    'AI (Wav2Vec2)'
    """
    if method is Method.AI and model is not None:
        return f"{_LABELS[method]} ({_MODEL_LABELS[model]})"
    return _LABELS[method]


def parse_methods(text: str) -> tuple[Method, ...]:
    """Read a comma-separated list of methods; empty means the three signal methods.

    Raises
    ------
    InputError
        If one is not known.
    """
    names = split_list(text.lower())
    unknown = [name for name in names if name not in set(Method)]
    if unknown:
        raise InputError(f"unknown method {', '.join(unknown)}; known are {', '.join(Method)}")
    return tuple(dict.fromkeys(Method(name) for name in names)) or DEFAULT_METHODS


def parse_ai_model(text: str) -> AiModel | None:
    """Read the name of an AI model; empty means none named.

    Raises
    ------
    InputError
        If it is not known.
    """
    name = text.strip().lower()
    if not name:
        return None
    if name not in set(AiModel):
        raise InputError(f"unknown ai_model {name}; known are {', '.join(AiModel)}")
    return AiModel(name)
