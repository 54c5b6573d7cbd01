"""The command ``rescind-verify``: the subcommands of ``rescind evidence`` without Airflow.

The wheel holds the product's own files in ``product/``. They are put on the import path of this command only, so an
installed ``airflow-rescind`` is neither used nor overwritten.
"""

from __future__ import annotations

import sys
from pathlib import Path


def main() -> int:
    """Run one command and return its exit status: 0 done, 1 does not verify, 2 wrong usage."""
    sys.path.insert(0, str(Path(__file__).resolve().parent / "product"))
    from rescind.cli.evidence import run

    return run(sys.argv[1:], prog="rescind-verify")
