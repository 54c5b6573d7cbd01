"""A bundle that was never a folder."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO


@dataclass(frozen=True, slots=True)
class MemorySource:
    """A bundle as bytes by name."""

    files: Mapping[str, bytes]

    def names(self) -> set[str]:
        """See :class:`Source`."""
        return set(self.files)

    def open(self, name: str) -> IO[bytes]:
        """See :class:`Source`."""
        if name not in self.files:
            raise OSError(f"{name} is missing")
        return io.BytesIO(self.files[name])
