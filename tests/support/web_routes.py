"""The routes of the page, read from its app, so that a new one is tested without anybody thinking of it."""

from __future__ import annotations

from collections.abc import Collection

from starlette.routing import BaseRoute, Route


def paths(routes: Collection[BaseRoute]) -> list[str]:
    """Every route of an app as an address to ask for."""
    found: list[str] = []
    for route in routes:
        assert isinstance(route, Route), f"{route} is no plain route: say here how it is asked for"
        assert route.methods == {"GET"} or route.methods == {"GET", "HEAD"}, f"{route.path} can change something"
        found.append(route.path.replace("{number}", "1").replace("{name}", "app.css").lstrip("/"))
    return found
