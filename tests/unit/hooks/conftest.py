"""A fake cloud on loopback and Airflow connections that point at it."""

from __future__ import annotations

from tests.support.servers.fake_cloud import *  # noqa: F403
