"""The fewest calls ever found for the benchmark's tables, by long runs; (size, name, mode, shared) -> calls."""

from __future__ import annotations

BEST: dict[tuple[str, str, str, bool], int] = {}
