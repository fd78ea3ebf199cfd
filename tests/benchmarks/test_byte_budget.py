from benchmarks.byte_budget import measure
from bonafide.settings import MIB

UPLOADS, SIZE = 3, 40 * MIB
"""Larger than what the allocator may keep for itself when it is freed (32 MiB)."""


async def test_large_uploads_take_the_memory_that_is_counted_and_that_of_one_more() -> None:
    memory = await measure(UPLOADS, SIZE)
    spare = 110 * MIB  # of the decoding processes, for anything but the files
    assert memory.peak < (UPLOADS + 1) * SIZE + spare
    assert memory.steady < UPLOADS * SIZE + spare
