"""How many examples a property test tries."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

ORDINARY = 100
"""What the profile ``default`` of hypothesis tries where a test says nothing."""


def examples(number: int) -> settings:
    """So many in an ordinary run, a quarter in a fast one, as many as the profile says in a thorough one.

    The variable ``RESCIND_HYPOTHESIS`` names the profile, see ``tests/conftest.py``.
    """
    wanted = settings.default.max_examples if settings.default else ORDINARY
    most = number * wanted // ORDINARY if wanted <= ORDINARY else wanted
    return settings(max_examples=most, deadline=None, suppress_health_check=[HealthCheck.too_slow])
