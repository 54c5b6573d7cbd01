"""The offset between the clocks of database and worker, and the jitter of this worker."""

from __future__ import annotations

from collections import deque

from rescind.ledger.ratelimit.store import Reservation

# Largest correction of one reading of the database clock by earlier readings.
_MOST_CORRECTION_S = 0.02
_READINGS = 32
_ANSWERS = 64


class BucketClock:
    """Converts instants of the database clock to instants of this process's monotonic clock.

    The answer to a reservation says "in x seconds"; its travel time is unknown and varies. Of several readings, the
    one with the smallest clock offset travelled fastest. Instants are placed by that reading, so that the travel time
    adds no jitter.

    It also measures the jitter: how late waiters wake, and how much longer than the fastest answer an answer takes.
    """

    def __init__(self) -> None:
        self._offsets: deque[float] = deque(maxlen=_READINGS)
        self._answers: deque[float] = deque(maxlen=_ANSWERS)
        self._round_trip = 0.005
        self._lateness = 0.0
        self._spread = 0.0

    def local(self, reservation: Reservation, asked: float, answered: float) -> float:
        """Return the first instant of a reservation on the monotonic clock.

        :param asked: monotonic time when the request was sent.
        :param answered: monotonic time when the answer arrived.
        """
        self._round_trip += 0.2 * ((answered - asked) - self._round_trip)
        now_there = reservation.at - reservation.in_s
        offset = answered - now_there
        self._offsets.append(offset)
        excess = min(offset - min(self._offsets), _MOST_CORRECTION_S, answered - asked)
        return answered + reservation.in_s - excess

    def late(self, seconds: float) -> None:
        """Record how late a waiter woke."""
        self._lateness += 0.05 * (max(seconds, 0.0) - self._lateness)

    def answered(self, seconds: float) -> None:
        """Record how long an answer took."""
        self._answers.append(seconds)
        self._spread += 0.05 * (seconds - min(self._answers) - self._spread)

    @property
    def jitter_s(self) -> float:
        """Mean jitter of the requests of this worker, in seconds."""
        return self._lateness + self._spread

    @property
    def way_back_s(self) -> float:
        """How far ahead the first instant must be so that the answer arrives before it, in seconds."""
        return min(0.02, self._round_trip)

    @property
    def ahead_s(self) -> float:
        """How long before the last reserved instant the next ones are reserved, in seconds."""
        return min(0.2, max(0.02, 4 * self._round_trip))
