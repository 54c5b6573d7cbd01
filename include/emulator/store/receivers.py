"""Who something in Quick BI is given to."""

from __future__ import annotations

from typing import NamedTuple

USER, GROUP, ORGANIZATION, WORKSPACE = 0, 1, 2, 3


class Receiver(NamedTuple):
    """Kind (0 user, 1 group, 2 organization, 3 workspace) and id."""

    kind: int
    id: str
