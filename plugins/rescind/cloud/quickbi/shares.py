"""Alibaba Cloud Quick BI 2022-01-01: shares of works, and what a user can read in the end.

Source: the vendor's Python SDK models (1.19.0 and 1.14.1).
"""

from __future__ import annotations

from typing import ClassVar

from rescind.cloud.base import Reply
from rescind.cloud.fields import Flag, Token
from rescind.cloud.quickbi.menus import QuickBiRead


class CheckReadableAnswer(Reply):
    """Whether the user can read the work. Null or nothing is no answer and refused as malformed."""

    Result: Flag


class CheckReadable(QuickBiRead[CheckReadableAnswer]):
    """Ask whether one user can read one work, whatever the source of the right."""

    action: ClassVar[str] = "CheckReadable"
    Answer: ClassVar[type[Reply]] = CheckReadableAnswer
    UserId: Token
    WorksId: Token
