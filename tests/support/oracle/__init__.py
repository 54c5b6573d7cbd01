"""An independent judge: from a dump of the emulator's world, who reaches what and through what.

It shares no code with the product and none with the emulator; only :mod:`tests.support.oracle.organizations`, which
makes organizations to judge, starts an emulator.
"""

from __future__ import annotations

from tests.support.oracle.items import foreign_effects
from tests.support.oracle.judge import SYSTEMS, effective, judge
from tests.support.oracle.ways import Dump, Path, Resource

__all__ = ["SYSTEMS", "Dump", "Path", "Resource", "effective", "foreign_effects", "judge"]
