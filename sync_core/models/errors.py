"""What can be wrong with a model or with the device that it runs on."""

from __future__ import annotations

from sync_core.domain.errors import MethodUnavailable, TransientError


class ModelUnusable(MethodUnavailable):
    """The model's files are absent, damaged or of another architecture; the message says which and what to do."""


class DeviceFull(TransientError):
    """Not even one piece fits into the device's memory; it may fit elsewhere, or later."""

    code = "DEVICE_OUT_OF_MEMORY"
    blames_item = False


class DeviceBroken(TransientError):
    """The device answers every call with an error: this process cannot use it any more and must be replaced."""

    code = "DEVICE_BROKEN"
    blames_item = False
