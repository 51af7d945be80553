"""What happens when a device has too little memory, or breaks. The devices here are functions that say so."""

from __future__ import annotations

import pytest
import torch

from sync_core.models.errors import DeviceBroken, DeviceFull
from sync_core.models.torch_runtime import BatchRunner, device_errors

PIECES = torch.arange(50.0)[:, None]


class Device:
    """Doubles its input, a limited number of pieces at once."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.batches: list[int] = []

    def __call__(self, pieces):
        self.batches.append(len(pieces))
        if len(pieces) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nSee documentation")
        return 2 * pieces


def test_batches_are_halved_until_they_fit_and_nothing_is_lost():
    device = Device(room=6)
    runner = BatchRunner(device, "cpu", largest_batch=32)
    assert torch.equal(runner.run(PIECES), 2 * PIECES)
    assert device.batches[:4] == [32, 16, 8, 4]
    assert runner.batch == 4


def test_a_batch_that_was_too_large_is_not_tried_again():
    device = Device(room=6)
    runner = BatchRunner(device, "cpu", largest_batch=32)
    runner.run(PIECES)
    device.batches.clear()
    runner.run(PIECES)
    assert max(device.batches) == 4


def test_a_device_without_room_for_one_piece_is_full():
    with pytest.raises(DeviceFull, match="no memory left for one piece: CUDA out of memory") as raised:
        BatchRunner(Device(room=0), "cpu", largest_batch=4).run(PIECES)
    assert raised.value.retryable
    assert "documentation" not in raised.value.message


def test_a_broken_device_is_not_used_again():
    def fail(pieces):
        raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")

    with pytest.raises(DeviceBroken, match="illegal memory access") as raised:
        BatchRunner(fail, "cpu", largest_batch=4).run(PIECES)
    assert raised.value.retryable
    assert not raised.value.blames_item


def test_a_device_too_full_for_the_model_itself_is_full():
    with (
        pytest.raises(DeviceFull, match="cuda:0 has no memory left for the model"),
        device_errors("cuda:0", "the model"),
    ):
        raise torch.OutOfMemoryError("CUDA out of memory.")
