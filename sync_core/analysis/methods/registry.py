"""The methods that can run here, by name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from sync_core.analysis.methods.base import OffsetMethod
from sync_core.analysis.methods.mfcc import Mfcc
from sync_core.analysis.methods.onset import Onset
from sync_core.analysis.methods.spectral import Spectral
from sync_core.domain.methods import Method

_SIGNAL_METHODS: Final[tuple[OffsetMethod, ...]] = (Mfcc(), Onset(), Spectral())

AVAILABLE: Final[Mapping[Method, OffsetMethod]] = MappingProxyType({m.method: m for m in _SIGNAL_METHODS})
