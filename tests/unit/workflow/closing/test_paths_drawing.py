"""The drawing of access paths: readable, well-formed with any names, and never showing as going what stays."""

from __future__ import annotations

import itertools
from xml.etree import ElementTree

import pytest

from rescind.model import Cell, Grant, GrantKey
from rescind.run_state.states import GOES, GONE, STAYS, Fate, fate_of, words_of
from rescind.systems.access_path import AccessPath
from rescind.workflow.closing.paths_drawing import DRAWN, paths_svg
from rescind.workflow.closing.person_paths import MarkedPath
from tests.support.ledger.web_runs import HOSTILE

SVG = "{http://www.w3.org/2000/svg}"


def way(number: int, fate: Fate | None = None, *, step: int | None = None, name: str = "") -> MarkedPath:
    """Path ``number``: direct, through a group, or through a group in a group, in turn."""
    through = ((), (("group", f"g{number % 4}"),), (("group", f"g{number % 4}"), ("role", "r")))[number % 3]
    key = GrantKey("quickbi_menus", "a", "menu", f"m{number}", "user", "u", "view")
    grant = Grant(key, Cell("p", "m", "user", ("u",)), resource_name=name or f"Menu {number}")
    names = {node: HOSTILE[number % len(HOSTILE)] for node in through}
    return MarkedPath(AccessPath(through, grant, names), fate or Fate(STAYS, "stays"), step)


def boxes(drawing: ElementTree.Element) -> list[tuple[float, ...]]:
    return [
        tuple(float(one.attrib[name]) for name in ("x", "y", "width", "height")) for one in drawing.iter(f"{SVG}rect")
    ]


@pytest.mark.parametrize("count", [1, 30, DRAWN + 5])
def test_boxes_stand_apart_and_inside_the_drawing(count: int) -> None:
    drawing = ElementTree.fromstring(paths_svg("Paths", "王伟 Wang Wei", [way(number) for number in range(count)]))
    width, height = (float(drawing.attrib[name]) for name in ("width", "height"))
    found = boxes(drawing)
    ends = min(count, DRAWN)
    assert len(found) >= 1 + ends
    for x, y, w, h in found:
        assert x >= 0 and x + w <= width and y >= 0 and y + h <= height
    for (x, y, w, h), (x2, y2, w2, h2) in itertools.combinations(found, 2):
        assert x + w <= x2 or x2 + w2 <= x or y + h <= y2 or y2 + h2 <= y
    texts = ["".join(one.itertext()) for one in drawing.iter(f"{SVG}text")]
    assert (f"{DRAWN} of {count} ends of paths are drawn" in texts) == (count > DRAWN)
    assert height <= 45 * ends + 60, "about 44 points a line"


def test_names_of_vendors_are_text() -> None:
    svg = paths_svg(HOSTILE[0], HOSTILE[1], [way(number, name=name) for number, name in enumerate(HOSTILE)])
    drawing = ElementTree.fromstring(svg)
    assert {one.tag for one in drawing.iter()} == {f"{SVG}{tag}" for tag in ("svg", "title", "path", "rect", "text")}
    names = {name for one in drawing.iter() for name in one.attrib}
    assert not any(name.startswith("on") or name in ("style", "href") for name in names)


@pytest.mark.parametrize("step", [None, 0, 1])
def test_only_the_step_that_goes_has_a_cross(step: int | None) -> None:
    fate = Fate(STAYS, "held back") if step is None else Fate(GOES, "will go")
    drawing = ElementTree.fromstring(paths_svg("t", "n", [way(1, fate, step=step)]))
    kinds = [one.attrib["class"] for one in drawing.iter(f"{SVG}path")]
    assert kinds == {None: ["stays", "stays"], 0: ["goes", "goes", "ends"], 1: ["stays", "goes", "goes"]}[step]
    words = ["".join(one.itertext()) for one in drawing.iter(f"{SVG}text")]
    assert ("view: held back" in words) == (step is None)
    assert ("view: will go" in words) == (step == 1)


@pytest.mark.parametrize(
    ("state", "verdict", "open_run", "ended"),
    [
        ("planned", "", Fate(GOES, "will go"), Fate(STAYS, "not sent")),
        ("approved", "", Fate(GOES, "will go"), Fate(STAYS, "not sent")),
        ("sent", "", Fate(GOES, "sent, no answer yet"), Fate(STAYS, "not checked")),
        ("accepted", "", Fate(GOES, "sent"), Fate(STAYS, "not checked")),
        *(("accepted", one, *[Fate(GONE, "record gone")] * 2) for one in ("verified_gone", "still_effective")),
        *(("accepted", one, *[Fate(STAYS, words_of(one))] * 2) for one in ("still_present", "unverified")),
        ("approved", "unverified", *[Fate(STAYS, "not checked")] * 2),
        *(
            (one, "", *[Fate(STAYS, words_of(one))] * 2)
            for one in ("held", "unknown", "refused", "expired", "stale", "restored")
        ),
    ],
)
def test_a_record_is_gone_only_when_a_listing_showed_it(state: str, verdict: str, open_run: Fate, ended: Fate) -> None:
    assert fate_of(state, verdict, can_send=True) == open_run
    assert fate_of(state, verdict, can_send=False) == ended
