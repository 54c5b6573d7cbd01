"""What a vendor's front door does: read a request, authenticate it, wrap answers and errors."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Protocol

from emulator.errors import ApiError
from emulator.gateway.wire import Answer, Request
from emulator.keys import Identity
from emulator.registry import Action


@dataclass(slots=True)
class Inbound:
    """A recognized request on its way through the gateway."""

    request: Request
    vendor: str
    request_id: str
    product: str = ""
    action: str = ""
    version: str = ""
    region: str = "-"
    key_id: str = ""
    signature: str = ""
    scheme: str = ""
    given: Any = None
    shown: dict[str, Any] = field(default_factory=dict)
    identity: Identity | None = None
    text_format: str = "json"


class Front(Protocol):
    """One vendor."""

    def open(self, request: Request) -> Inbound | None:
        """Recognize a request of this vendor; None when it is none."""

    def identify(self, inbound: Inbound) -> None:
        """Fill in product, version and raw parameters.

        :raises ApiError: when the version or the body is unknown or unreadable.
        """

    def authenticate(self, inbound: Inbound, action: Action, skew: float) -> None:
        """Check the signature and fill in the identity.

        :param skew: seconds by which the service's clock is off for this request (a fault).
        :raises ApiError: with the vendor's authentication codes.
        """

    def check(self, action: Action, inbound: Inbound) -> dict[str, Any]:
        """The action's parameters, checked and converted."""

    def unknown_action(self, inbound: Inbound) -> ApiError:
        """The error for an action that does not exist."""

    def throttled(self, inbound: Inbound, limit: float, wait: float) -> ApiError:
        """The error for one request too many; ``wait`` seconds would help."""

    def success(self, action: Action, payload: Any, inbound: Inbound) -> dict[str, Any]:
        """The success envelope."""

    def failure(self, error: ApiError, inbound: Inbound) -> tuple[int, dict[str, Any]]:
        """Status and envelope of an error."""

    def answer(self, status: int, body: dict[str, Any], inbound: Inbound) -> Answer:
        """The answer as bytes."""


def to_json(value: Any) -> bytes:
    """Compact JSON in UTF-8."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
