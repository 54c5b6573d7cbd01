"""Late visibility, when a fault asks for it: removed grants that listings go on showing, new ones that they hide."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from emulator.clock import Clock


@dataclass(slots=True)
class Lag:
    """How long a removed grant stays visible, or a new one hidden.

    :param seconds: by time, 0 for no limit of that kind.
    :param reads: by the number of listings that could have shown it, 0 for no limit of that kind.
    :param flap: every second listing that could show it does not (and the other ones do).
    """

    seconds: float = 0.0
    reads: int = 0
    flap: bool = False


@dataclass(slots=True)
class Ghost:
    """A removed grant that may still be shown, or a new one that may still be hidden."""

    system: str
    item: Any
    lag: Lag
    since: float
    new: bool
    reads: int = 0

    def over(self, now: float) -> bool:
        """Whether listings must tell the truth about it."""
        if self.lag.seconds > 0 and now - self.since >= self.lag.seconds:
            return True
        return self.lag.reads > 0 and self.reads >= self.lag.reads


class Visibility:
    """Keeps the ghosts. ``lag`` is set by the gateway while a call with such a fault is carried out."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ghosts: list[Ghost] = []
        self.lag: Lag | None = None

    def removed(self, system: str, item: Any) -> None:
        """A store removed ``item``: remember it when the current call has a lag."""
        if self.lag is not None:
            self._ghosts.append(Ghost(system, item, self.lag, self._clock.mono(), new=False))

    def added(self, system: str, item: Any) -> None:
        """A store added ``item``: hide it when the current call has a lag."""
        if self.lag is not None:
            self._ghosts.append(Ghost(system, item, self.lag, self._clock.mono(), new=True))

    def shown(self, system: str, fits: Callable[[Any], bool]) -> list[Any]:
        """Items of a system that a listing must still show; counts as one read of each that fits."""
        return self._late(system, fits, new=False)

    def hidden(self, system: str, fits: Callable[[Any], bool]) -> list[Any]:
        """Items of a system that a listing must not show yet; counts as one read of each that fits."""
        return self._late(system, fits, new=True)

    def _late(self, system: str, fits: Callable[[Any], bool], *, new: bool) -> list[Any]:
        if not self._ghosts:
            return []
        now = self._clock.mono()
        self._ghosts = [ghost for ghost in self._ghosts if not ghost.over(now)]
        items = []
        for ghost in self._ghosts:
            if ghost.system != system or ghost.new != new or not fits(ghost.item):
                continue
            ghost.reads += 1
            if not ghost.lag.flap or ghost.reads % 2 == 1:
                items.append(ghost.item)
        return items

    def clear(self) -> None:
        """Show the truth from now on."""
        self._ghosts.clear()
        self.lag = None

    def __len__(self) -> int:
        return len(self._ghosts)
