"""The fewest calls ever found for the benchmark's tables; (size, name, mode, shared) -> calls.

Replace a number when a run finds fewer.
"""

from __future__ import annotations

_STRICT = {
    ("small", "small 16"): 16,
    ("medium", "movers"): 238,
    ("medium", "leavers"): 102,
    ("medium", "policies"): 233,
    ("medium", "mixed"): 253,
    ("large", "movers"): 3817,
    ("large", "leavers"): 863,
    ("large", "policies"): 1906,
    ("large", "mixed"): 3070,
    ("large", "scattered"): 5254,
}
_ONCE = {
    ("medium", "movers"): 240,
    ("medium", "leavers"): 270,
    ("medium", "policies"): 245,
    ("medium", "mixed"): 253,
}
_EMPTYING = {("medium", "leavers"): 14, ("medium", "mixed"): 251}
_SPARSE = {
    ("medium", "movers"): 130,
    ("medium", "leavers"): 14,
    ("medium", "policies"): 28,
    ("medium", "mixed"): 244,
    ("medium", "scattered"): 119,
    ("large", "movers"): 1818,
    ("large", "leavers"): 181,
    ("large", "policies"): 704,
    ("large", "mixed"): 1671,
    ("large", "scattered"): 2359,
}

BEST: dict[tuple[str, str, str, bool], int] = {
    **{(*table, "strict", True): calls for table, calls in _STRICT.items()},
    **{(*table, "strict", False): calls for table, calls in _ONCE.items()},
    **{(*table, "emptying", True): calls for table, calls in _EMPTYING.items()},
    **{(*table, "sparse", True): calls for table, calls in _SPARSE.items()},
}
