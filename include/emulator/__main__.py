"""Entry point: ``python include/emulator ...`` or ``python -m emulator ...`` with ``include`` on the path."""

from __future__ import annotations

import sys
from pathlib import Path

if not __package__:
    # Started as a directory: its own folder is on the path and would shadow standard modules.
    here = Path(__file__).resolve().parent
    sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != here]
    sys.path.insert(0, str(here.parent))

from emulator.cli import main

if __name__ == "__main__":
    sys.exit(main())
