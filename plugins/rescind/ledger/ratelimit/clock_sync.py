"""One worker's view of time on a lane: the database's clock, and how late things happen here."""

from __future__ import annotations

from collections import deque

from rescind.ledger.ratelimit.store import Reservation

# How far a single reading of the database's clock may be corrected by earlier ones.
_MOST_CORRECTION_S = 0.02
_READINGS = 32
_ANSWERS = 64


class BucketClock:
    """Turns instants of the database's clock into instants of this process's monotonic clock.

    The answer to a reservation says "in x seconds"; how long it took on its way back is unknown and
    varies. Of several readings the one with the smallest difference between the clocks travelled
    fastest, so instants are placed by it: the way back does not add to the jitter.

    It also measures that jitter: how late waiters wake, and how much longer than the fastest one an
    answer takes.
    """

    def __init__(self) -> None:
        self._offsets: deque[float] = deque(maxlen=_READINGS)
        self._answers: deque[float] = deque(maxlen=_ANSWERS)
        self._round_trip = 0.005
        self._lateness = 0.0
        self._spread = 0.0

    def local(self, reservation: Reservation, asked: float, answered: float) -> float:
        """The reservation's first instant on the monotonic clock.

        :param asked: monotonic time when the question left.
        :param answered: monotonic time when the answer was there.
        """
        self._round_trip += 0.2 * ((answered - asked) - self._round_trip)
        now_there = reservation.at - reservation.in_s
        offset = answered - now_there
        self._offsets.append(offset)
        excess = min(offset - min(self._offsets), _MOST_CORRECTION_S, answered - asked)
        return answered + reservation.in_s - excess

    def late(self, seconds: float) -> None:
        """A waiter woke this late."""
        self._lateness += 0.05 * (max(seconds, 0.0) - self._lateness)

    def answered(self, seconds: float) -> None:
        """An answer took this long."""
        self._answers.append(seconds)
        self._spread += 0.05 * (seconds - min(self._answers) - self._spread)

    @property
    def jitter_s(self) -> float:
        """Mean jitter of what leaves here, in seconds."""
        return self._lateness + self._spread

    @property
    def way_back_s(self) -> float:
        """How far ahead the first instant has to be to arrive here before it is due."""
        return min(0.02, self._round_trip)

    @property
    def ahead_s(self) -> float:
        """How long before the last instant in reserve the next ones should be asked for."""
        return min(0.2, max(0.02, 4 * self._round_trip))
