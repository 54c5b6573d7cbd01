"""Figures of a benchmark beside their aims, in one form for all benchmarks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Aim:
    """One figure and what it should be.

    :param what: what was measured, and how large it was.
    :param figure: None when this run did not measure it.
    :param unit: of figure and aim.
    :param least: the figure should be at least the aim, not at most.
    :param today: what a user would do today without this package, and what that comes to; empty where nobody would.
    """

    what: str
    figure: float | None
    aim: float
    unit: str = ""
    least: bool = False
    today: str = ""

    @property
    def reached(self) -> bool | None:
        """Whether the figure reaches its aim; None when it was not measured."""
        if self.figure is None:
            return None
        return self.figure >= self.aim if self.least else self.figure <= self.aim


def show(aims: Iterable[Aim]) -> None:
    """Print the table of aims."""
    print("\n| aim | figure | aim | reached | what a user would do today |")
    print("| --- | ---: | ---: | --- | --- |")
    for one in aims:
        figure = "not measured" if one.figure is None else f"{text(one.figure)} {one.unit}".strip()
        aim = f"{'at least' if one.least else 'at most'} {text(one.aim)} {one.unit}".strip()
        reached = {True: "yes", False: "**no**", None: ""}[one.reached]
        print(f"| {one.what} | {figure} | {aim} | {reached} | {one.today} |", flush=True)


def text(figure: float) -> str:
    """Return a figure with three to four significant digits."""
    digits = 0 if abs(figure) >= 100 or figure == int(figure) else 1 if abs(figure) >= 10 else 3
    return f"{figure:,.{digits}f}"
