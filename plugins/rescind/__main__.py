"""``python -m rescind``: the command ``rescind``, see :mod:`rescind.cli`."""

from __future__ import annotations

import sys

from rescind.cli import main

if __name__ == "__main__":
    sys.exit(main())
