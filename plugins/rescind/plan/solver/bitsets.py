"""Sets of small integers, stored as Python integers.

Bit ``c`` of the integer is set when ``c`` is a member. Union and intersection are ``|`` and ``&``. Difference is
``x ^ (x & y)``: ``x & ~y`` would create a negative number, which is slower.

A *tally* counts in how many sets each member occurs. It is a list of sets: set ``i`` holds the members whose count
has bit ``i`` set. Adding a set to a tally is a binary addition with carry, over all members at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce
from operator import or_
from random import Random

_TRANSPOSE_BYTES = 1 << 25


def members(bits: int) -> list[int]:
    """Return the members of a set, in ascending order."""
    found = []
    text = bin(bits)[:1:-1]
    index = text.find("1")
    while index >= 0:
        found.append(index)
        index = text.find("1", index + 1)
    return found


def union(sets: Iterable[int]) -> int:
    """Return the union of the sets."""
    return reduce(or_, sets, 0)


def bit_set(indexes: Iterable[int]) -> int:
    """Return the set with these members."""
    bits = 0
    for index in indexes:
        bits |= 1 << index
    return bits


def pick(bits: int, rng: Random) -> int:
    """Return a random member of a non-empty set; not uniform."""
    index = int(rng.random() * bits.bit_length())
    rest = bits >> index
    return index + (rest & -rest).bit_length() - 1


def lowest(bits: int, count: int) -> int:
    """Return the ``count`` smallest members of a set that has at least as many."""
    low, high = 0, bits.bit_length()
    while low < high:
        middle = (low + high) // 2
        if (bits & ((1 << middle) - 1)).bit_count() < count:
            low = middle + 1
        else:
            high = middle
    return bits & ((1 << low) - 1)


def tally(sets: Iterable[int]) -> list[int]:
    """Return the tally of the sets."""
    planes: list[int] = []
    for bits in sets:
        for index, plane in enumerate(planes):
            if not bits:
                break
            planes[index] = plane ^ bits
            bits &= plane
        if bits:
            planes.append(bits)
    return planes


def tally_sub(planes: list[int], bits: int) -> None:
    """Remove a set from a tally that contains it."""
    for index, plane in enumerate(planes):
        plane ^= bits
        planes[index] = plane
        bits &= plane
        if not bits:
            break
    while planes and not planes[-1]:
        planes.pop()


def largest(planes: Sequence[int], pool: int, count: int) -> int:
    """Return at most ``count`` members of ``pool``: those with the largest counts, none with count 0."""
    chosen = 0
    for plane in reversed(planes):
        high = pool & plane
        if not high:
            continue
        size = high.bit_count()
        if size <= count:
            chosen |= high
            count -= size
            pool ^= high
            if not count:
                return chosen
        else:
            pool = high
    pool &= union(planes)
    if pool.bit_count() > count:
        pool = lowest(pool, count)
    return chosen | pool


def least(planes: Sequence[int], pool: int) -> int:
    """Return the members of ``pool`` with the smallest count."""
    for plane in reversed(planes):
        low = pool ^ (pool & plane)
        if low:
            pool = low
    return pool


def transpose(sets: Sequence[int], width: int) -> list[int]:
    """Return the transposed matrix: set ``j`` of the result holds ``i`` when set ``i`` holds ``j``."""
    turned = [0] * width
    step = max(1, _TRANSPOSE_BYTES // max(1, width))
    for start in range(0, len(sets), step):
        some = sets[start : start + step]
        text = "".join([format(bits, f"0{width}b") for bits in reversed(some)])
        for column in range(width):
            part = int(text[width - 1 - column :: width], 2)
            turned[column] |= part << start if start else part
    return turned
