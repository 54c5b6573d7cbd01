"""Settings of a vendor connection without opening a client."""

from __future__ import annotations

from importlib import import_module

from rescind.cloud.connection_settings import ClientSettings


def cloud_settings(hook: str, conn_id: str) -> ClientSettings:
    """The connection's settings as the hook of that import path reads them.

    :raises ConfigurationError: when the connection is missing or unusable.
    """
    module, _, name = hook.rpartition(".")
    settings: ClientSettings = getattr(import_module(module), name)(conn_id).settings()
    return settings
