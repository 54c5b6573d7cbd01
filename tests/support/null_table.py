"""Listings with one full row, and the same row with one field null or missing: what is read, and what is refused."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

import httpx
import pytest
from pydantic import AliasChoices, BaseModel

from rescind.cloud.base import ListRequest
from rescind.cloud.client import CloudClient
from rescind.cloud.paging import Listing, collect
from rescind.errors import MalformedResponseError

NULL, MISSING = "null", "missing"
Client = Callable[..., CloudClient]
Make = Callable[..., httpx.Response]


@dataclass(frozen=True)
class Listed:
    """One listing action and a full row of it.

    :param path: where the rows stand below the envelope, dotted.
    :param row: a row with every field that the model reads, each one with a value.
    :param needed: paths of the row without which it has no identity: null or missing is refused as malformed.
    :param total: where the total stands; empty for an action that declares none.
    :param null_is_none: the vendor documents null beside a total of 0 for this inventory.
    """

    request: ListRequest[Any]
    path: str
    row: dict[str, Any]
    needed: frozenset[str] = field(default_factory=frozenset)
    total: str = ""

    @property
    def action(self) -> str:
        return self.request.action

    def payload(self, rows: Any, declared: int = 1) -> dict[str, Any]:
        """The answer with these rows; ``MISSING`` leaves the list out."""
        out: dict[str, Any] = {}
        put(out, self.path, rows)
        if self.total:
            put(out, self.total, declared)
        return out


def put(value: dict[str, Any], path: str, given: Any) -> None:
    """Set what stands at a dotted path; ``MISSING`` takes it out."""
    *parents, last = path.split(".")
    for name in parents:
        value = value.setdefault(name, {})
    if isinstance(given, str) and given == MISSING:
        value.pop(last, None)
    else:
        value[last] = None if isinstance(given, str) and given == NULL else given


def paths(row: Any, prefix: str = "") -> Iterator[str]:
    """Every field of a JSON row; ``[]`` steps into the first item of a list."""
    for name, value in row.items():
        yield f"{prefix}{name}"
        if isinstance(value, dict):
            yield from paths(value, f"{prefix}{name}.")
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            yield from paths(value[0], f"{prefix}{name}[].")


def model_paths(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """The same of a row model, each field under the vendor's first spelling."""
    for name, info in model.model_fields.items():
        alias = info.validation_alias
        spelled = str(alias.choices[0]) if isinstance(alias, AliasChoices) else name
        yield f"{prefix}{spelled}"
        for inner, many in _models(info.annotation, False):
            yield from model_paths(inner, f"{prefix}{spelled}[]." if many else f"{prefix}{spelled}.")


def _models(annotation: Any, many: bool) -> Iterator[tuple[type[BaseModel], bool]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation, many
    for part in get_args(annotation):
        yield from _models(part, many or getattr(annotation, "__origin__", None) is tuple)


def changed(row: dict[str, Any], path: str, how: str) -> dict[str, Any]:
    """The row with the field at a path null or missing."""
    out = copy.deepcopy(row)
    *parents, last = path.split(".")
    inner: Any = out
    for name in parents:
        inner = inner[name.removesuffix("[]")]
        inner = inner[0] if name.endswith("[]") else inner
    put(inner, last, how)
    return out


def shown(row: BaseModel, path: str) -> Any:
    """What a read row has at a path."""
    value: Any = row
    for name in path.split("."):
        value = getattr(value, name.removesuffix("[]"))
        value = value[0] if name.endswith("[]") else value
    return value


def read(client: Client, make: Make, listed: Listed, *answers: dict[str, Any]) -> Listing[Any]:
    """Collect the listing through the client; after the given answers come empty pages."""
    left = iter(answers)

    def network(request: httpx.Request) -> httpx.Response:
        return make(**next(left, listed.payload([])))

    async def run() -> Listing[Any]:
        async with client(network, service=listed.request.service) as made:
            return await collect(made, listed.request)

    return asyncio.run(run())


def cases(listings: Sequence[Listed]) -> list[Any]:
    """Each field of each listing's row, once null and once missing: (listing, path, how)."""
    return [
        pytest.param(listed, path, how, id=f"{listed.action}-{path}-{how}")
        for listed in listings
        for path in paths(listed.row)
        for how in (NULL, MISSING)
    ]


def check_full_row(client: Client, make: Make, listed: Listed) -> None:
    """A full row is read, has every field of the model, and each has a value."""
    (row,) = read(client, make, listed, listed.payload([listed.row])).rows
    assert set(paths(listed.row)) == set(model_paths(type(row)))
    assert all(shown(row, path) is not None for path in paths(listed.row))
    assert all(isinstance(part, str) for part in row.key())


def check_field(client: Client, make: Make, listed: Listed, path: str, how: str) -> None:
    """A field that is null or missing is kept as not known, or the listing is refused if the row needs it."""
    page = listed.payload([changed(listed.row, path, how)])
    if path in listed.needed:
        with pytest.raises(MalformedResponseError, match=path.rpartition(".")[2]):
            read(client, make, listed, page)
        return
    (row,) = read(client, make, listed, page).rows
    assert shown(row, path) is None


def check_null_row(client: Client, make: Make, listed: Listed) -> None:
    """A null in place of a row is refused."""
    with pytest.raises(MalformedResponseError):
        read(client, make, listed, listed.payload([listed.row, None], declared=2))
