"""What an answer says about each part of a batch write."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from rescind.errors import UnknownOutcomeError


class Said(StrEnum):
    """What the vendor's answer said about one part. ``accepted`` is not proof; only a re-read is."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class ResourceOutcome:
    """What was said about one resource of a batch.

    :param resource_type: as requested (not as echoed).
    :param resource_uri: as requested.
    :param detail: the vendor's reason, or why the outcome is unknown. Vendor text: escape before showing.
    """

    resource_type: str
    resource_uri: str
    said: Said
    detail: str = ""


class UnknownResultsError(UnknownOutcomeError):
    """A batch write whose answer leaves the outcome of at least one resource unknown.

    :param outcomes: one entry per requested resource, in the order of the request; some may be accepted
        or refused, at least one is unknown.
    """

    def __init__(self, message: str, *, outcomes: Sequence[ResourceOutcome], **facts: Any) -> None:
        super().__init__(message, **facts)
        self.outcomes = tuple(outcomes)
