"""Problems of a bundle, by kind."""

from __future__ import annotations

from collections import Counter

_SHOWN = 5
"""Examples of each kind."""


class Found:
    """Collect problems by kind, with a few examples and a count of each."""

    def __init__(self) -> None:
        self._kinds: dict[str, list[str]] = {}
        self._counts: Counter[str] = Counter()

    def add(self, kind: str, what: str = "") -> None:
        """Record a problem."""
        self._counts[kind] += 1
        if self._counts[kind] <= _SHOWN:
            self._kinds.setdefault(kind, []).append(what)

    def lines(self) -> list[str]:
        """Return one line for each kind."""
        found = []
        for kind, examples in self._kinds.items():
            more = self._counts[kind] - len(examples)
            shown = ", ".join(example[:20] for example in examples if example)
            found.append(kind + (f": {shown}" if shown else "") + (f" and {more} more" if more else ""))
        return found
