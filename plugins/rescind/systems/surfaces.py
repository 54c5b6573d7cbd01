"""Surfaces: the ways in which a permission system gives access, and whether they were asked.

A record that is gone proves nothing about access that comes another way. Each permission system declares its
surfaces as data; discovery and verification say of each one whether it was asked in this run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from rescind.model import Membership

NOT_COVERED = "this version does not read it"
"""Reason of a limit that the vendor has actions for."""
CONDITIONAL = "Conditional"
"""Attribute of a grant that gives access only under a further condition, which its text names."""


UNCERTAIN = "Uncertain"
"""Attribute of a grant of which it is not known whether it gives access; its text names the unanswered surface."""
CERTAIN_IN = "CertainIn"
"""Attribute of an uncertain grant: id of the project whose members certainly have what it gives."""


@dataclass(frozen=True, slots=True)
class Surface:
    """One way of having access.

    :param name: short name for people, for example ``portal white list``.
    :param action: the vendor's action that shows it; empty where the vendor offers none.
    :param shows: what the action tells.
    :param cannot: what it cannot tell, or why it is not asked; empty when there is nothing to add.
    :param asked_in: the stage that asks: ``discovery`` for the whole population, ``verification`` for the holders of
        the grants that went.
    """

    name: str
    action: str
    shows: str
    cannot: str = ""
    asked_in: Literal["discovery", "verification"] = "discovery"


class Gap(NamedTuple):
    """What a surface did not tell in this run, where that concerns some objects or people only.

    :param surface: name of the surface.
    :param why: the reason, for people.
    :param resource: (type, id) of the object that it did not tell about; everything below it is concerned too. Empty
        for every object.
    :param principal: (type, id) of whom it did not tell about. Empty for everybody.
    """

    surface: str
    why: str
    resource: tuple[str, ...] = ()
    principal: tuple[str, ...] = ()

    @classmethod
    def of(cls, noted: Mapping[str, Any]) -> Gap:
        """Return a gap from the notes of a scope."""
        return cls(noted["surface"], noted["why"], tuple(noted["resource"]), tuple(noted["principal"]))


class Untraceable(NamedTuple):
    """Why holders of one kind cannot be traced to people.

    :param surface: name of the surface that stays unanswered.
    :param why: the reason, for people.
    """

    surface: str
    why: str


UNNAMED = Untraceable("holders without a name", "who stands behind the holder is not known")
"""Surface that stays unanswered where a holder has no id, or a kind that is not known."""


@dataclass(slots=True)
class PlatformAnswer:
    """What the platform itself says of the holders of some grants, once their records are gone.

    :ivar reaches: by grant id, the access that the platform still shows, in words.
    :ivar denies: ids of grants whose holder cannot reach the resource any more, as the platform says.
    :ivar unknown: by grant id, surfaces that could not be asked, each with the reason.
    :ivar calls: list requests.
    """

    reaches: dict[str, str] = field(default_factory=dict)
    denies: set[str] = field(default_factory=set)
    unknown: dict[str, dict[str, str]] = field(default_factory=dict)
    calls: int = 0

    def add(self, other: PlatformAnswer) -> None:
        """Add the answer about other grants."""
        self.reaches |= other.reaches
        self.denies |= other.denies
        self.unknown |= other.unknown
        self.calls += other.calls

    def join(self, other: PlatformAnswer) -> None:
        """Add another answer about the same grants: what either shows stays, and what either could not ask."""
        self.reaches = other.reaches | self.reaches
        self.denies |= other.denies
        for grant_id, surfaces in other.unknown.items():
            self.unknown.setdefault(grant_id, {}).update(surfaces)
        self.calls += other.calls

    def could_not_ask(self, grant_id: str, surface: str, why: str) -> None:
        """Note a surface that stays unanswered for one grant."""
        self.unknown.setdefault(grant_id, {})[surface] = why


class EndedMemberships(NamedTuple):
    """Memberships on remaining paths that have ended since discovery.

    :param memberships: those that two listings lack.
    :param calls: list requests.
    """

    memberships: frozenset[Membership] = frozenset()
    calls: int = 0


def unasked(surfaces: tuple[Surface, ...], asked: Mapping[str, str]) -> dict[str, str]:
    """The surfaces of discovery that were not asked completely in this run, each with the reason.

    :param asked: by surface name, an empty text where it was asked completely, else the reason why not.
    """
    return {
        surface.name: asked.get(surface.name, "not asked in this run")
        for surface in surfaces
        if surface.action and surface.asked_in == "discovery" and asked.get(surface.name) != ""
    }
