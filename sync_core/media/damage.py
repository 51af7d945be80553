"""What went wrong while reading one file, as sentences for the operator."""

from __future__ import annotations

from dataclasses import dataclass, field

_TOLD = 3
"""So many cases of each kind are told one by one; the rest are counted."""


@dataclass(slots=True)
class Damage:
    """Collects what was survived; tells the first few cases of each kind and counts the rest."""

    undecodable: int = 0
    garbage_samples: int = 0
    ended_early: str | None = None
    _jumps: list[str] = field(default_factory=list)
    _others: list[str] = field(default_factory=list)

    def jump(self, sentence: str) -> None:
        self._jumps.append(sentence)

    def other(self, sentence: str) -> None:
        self._others.append(sentence)

    @property
    def any_loss(self) -> bool:
        """True if audio was lost, rather than only shifted."""
        return bool(self.undecodable or self.ended_early)

    def sentences(self) -> tuple[str, ...]:
        told = [*self._others, *self._jumps[:_TOLD]]
        if len(self._jumps) > _TOLD:
            told.append(f"{len(self._jumps) - _TOLD} more jumps in the timestamps")
        if self.undecodable:
            packets = "1 packet" if self.undecodable == 1 else f"{self.undecodable} packets"
            told.append(f"{packets} could not be decoded")
        if self.garbage_samples:
            told.append(f"{self.garbage_samples} samples were no numbers and were taken as silence")
        if self.ended_early:
            told.append(self.ended_early)
        return tuple(told)
