"""Alibaba Cloud DMS Enterprise 2018-11-01: writes that disable and enable the account of a user in the tenant.

Sources: the models of the vendor's Python SDK (3.0.0) and its pages of DisableUser and EnableUser. ``DisableUser`` also
ends the permission records, ownership and DBA settings of the user, and ``EnableUser`` gives none of them back.
``DeleteUser`` does not exist here.
"""

from __future__ import annotations

from typing import Any, ClassVar

from rescind.cloud.base import Reply, WriteRequest
from rescind.cloud.dms.permissions import Envelope, Product, WriteTenantId
from rescind.cloud.fields import NumericId


class _AccountWrite(Product, WriteRequest[Envelope]):
    """``Uid`` is the id of the cloud account, not DMS's own user id."""

    Answer: ClassVar[type[Reply]] = Envelope
    Uid: NumericId
    Tid: WriteTenantId

    def wire(self) -> dict[str, Any]:
        """The cloud account and the tenant."""
        return {"Uid": self.Uid, "Tid": self.Tid}


class DisableUser(_AccountWrite):
    """Stop a user from logging on to DMS. The cloud account itself stays as it is."""

    action: ClassVar[str] = "DisableUser"


class EnableUser(_AccountWrite):
    """Let a disabled user log on again."""

    action: ClassVar[str] = "EnableUser"
