"""The settings of a deployment, and the request of one run.

:class:`Settings` is read from the Airflow Variable ``rescind_settings`` (JSON), :class:`ReviewRequest` from the trigger
form. An unknown key is an error in both.
"""

from __future__ import annotations

from rescind.settings.deployment import (
    LEDGER_CONNECTION,
    PAGE_CONNECTION,
    VARIABLE,
    AutomaticApproval,
    KnownGrant,
    Settings,
    airflow_home,
    settings_home,
)
from rescind.settings.notifications import ChatTarget, Notifications, Told
from rescind.settings.request import Names, ReviewRequest
from rescind.settings.roster import PresetName, RosterEndpoint, RosterFormat
from rescind.settings.wording import explained, form_error

__all__ = [
    "LEDGER_CONNECTION",
    "PAGE_CONNECTION",
    "VARIABLE",
    "AutomaticApproval",
    "ChatTarget",
    "KnownGrant",
    "Names",
    "Notifications",
    "PresetName",
    "ReviewRequest",
    "RosterEndpoint",
    "RosterFormat",
    "Settings",
    "Told",
    "airflow_home",
    "explained",
    "form_error",
    "settings_home",
]
