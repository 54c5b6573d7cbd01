"""The fewest calls ever found for the benchmark's tables; (size, name, mode, vendor's limits) -> calls.

Replace a number when a run finds fewer.
"""

from __future__ import annotations

BEST: dict[tuple[str, str, str, bool], int] = {}
