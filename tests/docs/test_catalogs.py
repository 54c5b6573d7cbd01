"""The catalogs: every message of the source is translated once, with the same placeholders, and compiled."""

from __future__ import annotations

import re

import pytest
from babel.messages.catalog import Catalog

from rescind.i18n import reading, tr, trn
from tests.docs import catalogs

pytestmark = pytest.mark.parametrize("language", catalogs.TRANSLATED)
AGAIN = "run python -m tests.docs.catalogs --write and translate what it names"


def _all(made: Catalog) -> dict[tuple[str, ...], list[str]]:
    ids = {one.id if isinstance(one.id, tuple) else (one.id,): catalogs.strings(one) for one in made if one.id}
    return {tuple(map(str, key)): texts for key, texts in ids.items()}


def test_the_catalog_holds_exactly_the_messages_of_the_source(language: str) -> None:
    known = _all(catalogs.catalog(language))
    source = {one if isinstance(one, tuple) else (one,) for one in catalogs.messages()}
    assert len(source) > 200
    assert source - set(known) == set(), f"messages without an entry: {AGAIN}"
    assert set(known) - source == set(), f"entries that nothing uses: {AGAIN}"


def test_every_message_is_translated_with_its_placeholders(language: str) -> None:
    for key, texts in _all(catalogs.catalog(language)).items():
        assert texts, f"{key[0]!r} is not translated"
        wanted = set().union(*map(catalogs.placeholders, key))
        for text in texts:
            assert catalogs.placeholders(text) == wanted, key
            assert "<" not in text or "<" in key[0], "markup comes from the templates"


_HALF = re.compile(r"[\u3040-\u30ff\u3400-\u9fff][,;:?!(]|[,;:?!)~][\u3040-\u30ff\u3400-\u9fff]|\\}[:;,?!(]\\{")


def test_punctuation_has_full_width(language: str) -> None:
    for key, texts in _all(catalogs.catalog(language)).items():
        for text in texts:
            assert not _HALF.search(re.sub(r"\]\(.*?\)", "", text)), (key, text)


def test_the_compiled_catalog_is_the_one_that_is_read(language: str) -> None:
    path = catalogs.po_path(language)
    assert path.with_suffix(".mo").read_bytes() == catalogs.as_mo(path.read_bytes()), f"stale: {AGAIN}"
    with reading(language):
        assert tr("Access reviews") == catalogs.catalog(language)["Access reviews"].string
        assert trn("{count} grant", "{count} grants", 2) != "2 grants"
        assert tr("") == "", "the empty message would be the header of the catalog"
    assert tr("Access reviews") == "Access reviews"


def test_no_template_holds_text_that_is_not_translated(language: str) -> None:
    pages = catalogs.templates()
    assert len(pages) > 10 and any(path.name == "report.html.j2" for path in pages)
    found = {path.name: words for path in pages if (words := catalogs.bare_text(path))}
    assert found == {}, f'write {{{{ tr("...") }}}}, then {AGAIN} ({language})'
