from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rescind.errors import LedgerError
from rescind.ledger.population.grant_rows import GRANT_COLUMNS, grant_rows
from rescind.ledger.store.copy_spool import document, text, texts
from rescind.model import Cell, Grant, GrantKey

HARD = st.lists(st.text(alphabet=st.sampled_from('a\\\t\n\r"é'), max_size=4), max_size=4)


@given(HARD)
def test_many_texts_are_escaped_as_each_of_them(values: list[str]) -> None:
    assert list(texts(values)) == [text(value) for value in values]


@pytest.mark.parametrize("at", [0, 1, 2])
def test_a_nul_is_refused_wherever_it_stands(at: int) -> None:
    with pytest.raises(LedgerError, match="NUL"):
        texts([*["a"] * at, "\x00", "b"])


def test_each_field_of_a_grant_stands_in_its_column() -> None:
    facts = {name: f"\t{name}" for name in ("why_not", "inherited_from", "expires_raw", "created_raw", "origin")}
    names = {name: f"\n{name}" for name in ("principal_name", "resource_name")}
    key = GrantKey(*[f"{name}\\" for name in GrantKey._fields])
    cell = Cell("container\t", "row\t", "kind\t", ("column",))
    grant = Grant(key, cell, revocable=False, attributes={"a": "b"}, **facts, **names)
    (row,) = grant_rows(7, 3, [grant])
    found = dict(zip(GRANT_COLUMNS, row, strict=True))
    assert {name: found[name] for name in (*facts, *names)} == {n: text(v) for n, v in (facts | names).items()}
    assert {name: found[name] for name in key._fields} == {n: text(v) for n, v in key._asdict().items()}
    assert [found[f"cell_{name}"] for name in ("container", "row", "kind", "column")] == [
        "container\\t",
        "row\\t",
        "kind\\t",
        '{"column"}',
    ]
    assert (found["run_no"], found["scope_no"], found["revocable"]) == ("7", "3", "f")
    assert found["grant_id"] == "\\\\x" + key.grant_id and found["attributes"] == document({"a": "b"})
