"""What Airflow's provider discovery learns about this package."""

from __future__ import annotations

from typing import Any


def get_provider_info() -> dict[str, Any]:
    """The provider's description, as Airflow's entry point ``apache_airflow_provider`` wants it."""
    return {
        "package-name": "airflow-rescind",
        "name": "Rescind",
        "description": "Access reviews and verified revocation.",
    }
