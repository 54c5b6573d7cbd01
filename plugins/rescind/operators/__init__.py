"""Airflow operators: the stages of a run, and single vendor calls. An Airflow that is too old is refused here."""

from __future__ import annotations

from rescind.compat import require_supported

require_supported()
