"""Errors of the emulated services: a code, a message, an HTTP status and where the vendor puts them."""

from __future__ import annotations


class ApiError(Exception):
    """A call that the service refuses.

    :param code: the vendor's error code, spelled as the vendor spells it.
    :param message: the text that goes with it.
    :param status: HTTP status for Alibaba's gateway envelope (Tencent always answers 200).
    :param in_body: True for a failure inside a success envelope: HTTP 200 with ``Success: false`` (DMS).
    :param headers: extra answer headers, for example ``x-acs-retry-after``.
    """

    def __init__(
        self,
        code: str,
        message: str,
        status: int = 400,
        *,
        in_body: bool = False,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.in_body = in_body
        self.headers = headers or {}
