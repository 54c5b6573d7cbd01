"""The whole emulated world: people, the three clouds, the clock, the journal, the modes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from emulator.clock import Clock
from emulator.journal import Journal
from emulator.keys import Keyring
from emulator.modes import Modes
from emulator.store.dms import DmsStore
from emulator.store.people import Person
from emulator.store.quickbi import QuickBiStore
from emulator.store.studio import Studio
from emulator.store.usage import Usage
from emulator.store.wedata import DataSourceStore, PrivilegeStore, Project, ProjectMembers
from emulator.visibility import Visibility

TENANT_ID = 3001
ORGANIZATION_ID = "2fe4fbd8-588f-489a-b3e1-e92c7af0e1c3"
SYSTEMS = ("wedata_privileges", "wedata_data_sources", "dms_permissions", "quickbi_menus")


class World:
    """State that lives as long as the emulator runs."""

    def __init__(self, clock: Clock, journal_path: Path | None = None) -> None:
        self.clock = clock
        self.modes = Modes()
        self.journal = Journal(clock, journal_path)
        self.visibility = Visibility(clock)
        self.keys = Keyring()
        self.settings: dict[str, Any] = {}
        self.clear()

    def clear(self) -> None:
        """Empty the organization (the journal, modes and keys stay)."""
        self.people: list[Person] = []
        self.privileges = PrivilegeStore(self.journal, self.visibility)
        self.projects: dict[str, Project] = {}
        self.members = ProjectMembers(self.journal, self.visibility)
        # Holders of platform roles (role id to uins): no action lists or changes them.
        self.tenant_roles: dict[str, set[str]] = {}
        self.data_sources = DataSourceStore(self.journal, self.visibility)
        self.studio = Studio(self.journal, self.visibility)
        self.dms = DmsStore(self.journal, self.visibility, TENANT_ID)
        self.quickbi = QuickBiStore(self.journal, self.visibility, ORGANIZATION_ID)
        self.usage = Usage()
        self.table_details: dict[str, dict[str, Any]] = {}
        # Things derived from the organization; dropped when its objects (not its grants) change.
        self.cache: dict[str, Any] = {}

    @property
    def today(self) -> str:
        """Date and time now in DMS's format."""
        return self.clock.utc().strftime("%Y-%m-%d %H:%M:%S")

    def truth(self, system: str) -> Iterator[dict[str, Any]]:
        """Rows of one system's ground truth.

        :raises KeyError: for a system that does not exist.
        """
        sources = {
            "wedata_privileges": self.privileges.rows,
            "wedata_data_sources": self.data_sources.rows,
            "dms_permissions": self.dms.rows,
            "quickbi_menus": self.quickbi.rows,
        }
        return sources[system]()

    def counts(self) -> dict[str, int]:
        """Number of grants in each system."""
        return {
            "wedata_privileges": self.privileges.count,
            "wedata_data_sources": self.data_sources.count,
            "dms_permissions": len(self.dms.records),
            "quickbi_menus": self.quickbi.count,
        }
