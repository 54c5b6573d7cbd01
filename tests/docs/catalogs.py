"""The catalogs of translated text: taken from the source, compared, and compiled.

``python -m tests.docs.catalogs --write`` adds the messages of the source to the catalogs, drops those that nothing
uses, and compiles them. Then translate the empty ones in ``plugins/rescind/locale/*/LC_MESSAGES/rescind.po``, with the
words of ``docs/glossary-languages.md``, and run it again.
"""

from __future__ import annotations

import ast
import io
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from jinja2 import Environment, nodes

from rescind.i18n import CATALOGS, DOMAIN, LANGUAGES, SOURCE

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "plugins" / "rescind"
TRANSLATED = [tag for tag in LANGUAGES if tag != SOURCE]
_PLACEHOLDER = re.compile(r"\{(\w+)\}")
# What template text may hold beside phrases: product words, marks and signs.
_PLAIN_WORDS = {"DAG"}

Found = str | tuple[str, str]


@cache
def messages() -> dict[Found, str]:
    """Every message of the package, with the file that holds it; a plural is a pair."""
    found: dict[Found, str] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        for message in _of_python(ast.parse(path.read_text(encoding="utf-8"))):
            found.setdefault(message, path.relative_to(ROOT).as_posix())
    for path in templates():
        for message in _of_template(path):
            found.setdefault(message, path.relative_to(ROOT).as_posix())
    return found


def templates() -> list[Path]:
    """The templates of pages and report."""
    return sorted(path for pattern in ("*.html", "*.j2") for path in PACKAGE.rglob(pattern))


def _of_python(tree: ast.AST) -> Iterator[Found]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            texts = [one.value if isinstance(one, ast.Constant) else None for one in node.args]
            yield from _called(node.func.id, texts)
        # The titles of permission systems are class attributes.
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "title" and _text(node.value):
            yield _text(node.value)


def _text(node: ast.expr | None) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _of_template(path: Path) -> Iterator[Found]:
    tree = Environment(trim_blocks=True, lstrip_blocks=True).parse(path.read_text(encoding="utf-8"))
    for call in tree.find_all(nodes.Call):
        if isinstance(call.node, nodes.Name):
            texts = [one.value if isinstance(one, nodes.Const) else None for one in call.args]
            yield from _called(call.node.name, texts)


def _called(name: str, texts: list[object]) -> Iterator[Found]:
    if name in ("tr", "mark") and texts and isinstance(texts[0], str):
        yield texts[0]
    if name == "trn" and len(texts) > 1 and isinstance(texts[0], str) and isinstance(texts[1], str):
        yield texts[0], texts[1]


def bare_text(path: Path) -> list[str]:
    """Words of a template that no phrase holds: the text between its tags and the attributes that people read."""
    tree = Environment(trim_blocks=True, lstrip_blocks=True).parse(path.read_text(encoding="utf-8"))
    # Expressions leave a mark behind, so that a tag which holds one stays a tag.
    literal = "".join(
        one.data if isinstance(one, nodes.TemplateData) else "\0"
        for output in tree.find_all(nodes.Output)
        for one in output.nodes
    )
    literal = re.sub(r"<(style|script|pre)\b.*?</\1>|<!--.*?-->", "", literal, flags=re.DOTALL)
    read = re.findall(r'\b(?:aria-label|title|placeholder|data-label|alt)="([^"]*)"', literal)
    between = re.sub(r"<[^>]*>", " ", literal)
    words = re.findall(r"[^\W\d]{2,}", " ".join([between, *read]))
    return [word for word in words if word not in _PLAIN_WORDS]


def po_path(language: str) -> Path:
    """The catalog of a language."""
    return CATALOGS / language.replace("-", "_") / "LC_MESSAGES" / f"{DOMAIN}.po"


def catalog(language: str) -> Catalog:
    """Read the catalog of a language; an empty one if there is none yet."""
    path = po_path(language)
    if not path.exists():
        return Catalog(locale=language.replace("-", "_"))
    with path.open("rb") as file:
        return read_po(file, locale=language.replace("-", "_"))


def updated(language: str) -> Catalog:
    """The catalog of a language with exactly the messages of the source, in the order of their text."""
    known, made = catalog(language), Catalog(locale=language.replace("-", "_"), header_comment=_HEADER, fuzzy=False)
    for message, where in messages().items():
        old = known.get(message[0] if isinstance(message, tuple) else message)
        text = old.string if isinstance(old, Message) else ""
        if isinstance(message, tuple):
            text = text if isinstance(text, tuple) else (text,)
        elif isinstance(text, tuple):
            text = text[0]
        made.add(message, text, locations=[(where, None)])
    return made


_HEADER = "# Catalog of Rescind; see tests/docs/catalogs.py."


def as_po(made: Catalog) -> bytes:
    """A catalog as text, without what changes by itself (dates, line numbers)."""
    out = io.BytesIO()
    write_po(out, made, width=118, sort_output=True, include_lineno=False, omit_header=True)
    header = (
        f'{_HEADER}\nmsgid ""\nmsgstr ""\n"Language: {made.locale}\\n"\n"MIME-Version: 1.0\\n"\n'
        '"Content-Type: text/plain; charset=utf-8\\n"\n"Content-Transfer-Encoding: 8bit\\n"\n'
        '"Plural-Forms: nplurals=1; plural=0;\\n"\n\n'
    )
    return header.encode() + out.getvalue()


def as_mo(po: bytes) -> bytes:
    """A catalog as :mod:`gettext` reads it."""
    out = io.BytesIO()
    made = read_po(io.BytesIO(po))
    made.creation_date = made.revision_date = datetime(2000, 1, 1, tzinfo=UTC)  # the same text gives the same file
    write_mo(out, made)
    return out.getvalue()


def placeholders(text: str) -> set[str]:
    """The names in braces."""
    return set(_PLACEHOLDER.findall(text))


def main() -> int:
    """Write the catalogs and name what is not translated yet."""
    if sys.argv[1:] != ["--write"]:
        print(__doc__)
        return 2
    for language in TRANSLATED:
        po, path = as_po(updated(language)), po_path(language)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(po)
        path.with_suffix(".mo").write_bytes(as_mo(po))
        missing = [one.id for one in read_po(io.BytesIO(po)) if one.id and not strings(one)]
        print(f"{language}: {len(missing)} not translated", *missing, sep="\n  ")
    return 0


def strings(one: Message) -> list[str]:
    """The translations of a message; none while it is not translated."""
    texts = one.string if isinstance(one.string, tuple) else (one.string,)
    return [text for text in texts if text]


if __name__ == "__main__":
    sys.exit(main())
