"""Loads every system and every message model when it is imported: for processes that fork tasks.

A task that is forked from such a process saves their import, which takes half of its processor time.
"""

from __future__ import annotations

from rescind.cloud import clients
from rescind.systems import REGISTRY

CLIENTS = (clients.WeDataClient, clients.DmsClient, clients.QuickBiClient)
SYSTEMS = tuple(REGISTRY.values())
