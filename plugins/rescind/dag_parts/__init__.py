"""Parts of DAG files: task chains, trigger forms, retry policy. On an Airflow that is too old, the import says so."""

from __future__ import annotations

from rescind.compat import require_supported

require_supported()
