"""A migrated ledger for every test."""

from __future__ import annotations

from tests.support.servers.postgres import *  # noqa: F403
