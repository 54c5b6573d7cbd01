"""Entry point: ``python include/local ...``, or ``python -m local ...`` with ``include`` on the path."""

from __future__ import annotations

import sys
from pathlib import Path

if not __package__:
    # Started as a directory: its own folder is on the path and would shadow other modules.
    here = Path(__file__).resolve().parent
    sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != here]
    sys.path.insert(0, str(here.parent))

from local.cli import main

if __name__ == "__main__":
    sys.exit(main())
