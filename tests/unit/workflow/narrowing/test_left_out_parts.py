"""What can be left out is told apart in the list, also where the roster knows nobody."""

from __future__ import annotations

from rescind.workflow.narrowing.left_out import Part
from rescind.workflow.narrowing.text import _part


def test_whom_the_roster_does_not_know_is_named_with_the_system() -> None:
    accounts = [("quickbi_menus", "a1", "user", "u1"), ("quickbi_shares", "a1", "user", "u1")]
    shown = [Part(one, "", 2, "Ann (u1)").where for one in (*accounts, ("quickbi_menus", "a2", "user", "u1"), ("P1",))]
    assert shown == ["Quick BI menus, a1", "Quick BI shares, a1", "Quick BI menus, a2", "everything"]
    assert Part(("P1",), "quickbi_menus", 1, "Ann (P1)").where == "Quick BI menus"
    names = {one: "Ann" for one in (*accounts, ("P1",))}
    told = [
        _part((*one, system), names) for one, system in ((accounts[0], ""), (("P1",), ""), (("P1",), "quickbi_menus"))
    ]
    assert told == ["Ann (u1), Quick BI menus only", "Ann (P1)", "Ann (P1), Quick BI menus only"]
