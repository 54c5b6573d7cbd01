"""Every corruption of a bundle is found: thousands of them, made mechanically from a bundle that holds."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import pytest

from rescind.evidence.bundle.format import encode, manifest_of
from rescind.evidence.bundle.signing import key_name, sign
from rescind.evidence.bundle.verify import verify
from rescind.ledger import Ledger
from tests.support.ledger.memory_bundle import MemorySource
from tests.unit.evidence.conftest import OTHER, PUBLIC, bundle, closed_run, contents

pytestmark = [pytest.mark.postgres, pytest.mark.slow]
Files = dict[str, bytes]
CORRUPTIONS = 10_400


def test_ten_thousand_corruptions_are_found(ledger: Ledger, tmp_path: Path) -> None:
    good = contents(bundle(ledger, closed_run(ledger, "manual__1", grants=6, revoke=3), tmp_path))
    other = contents(bundle(ledger, closed_run(ledger, "manual__2", grants=6, revoke=3), tmp_path))
    assert verify(MemorySource(good), key=PUBLIC).holds and verify(MemorySource(other), key=PUBLIC).holds
    found: Counter[str] = Counter()
    for kind, bad in corruptions(good, other, random.Random(20260101)):
        result = verify(MemorySource(bad), key=PUBLIC)
        assert not result.holds, f"{kind} was not found"
        assert all(len(problem) < 2000 for problem in result.problems)
        found[kind] += 1
    assert sum(found.values()) >= 10_000, found
    assert set(found) == set(KINDS), found


def test_without_a_key_every_careless_corruption_is_found(ledger: Ledger, tmp_path: Path) -> None:
    good = contents(bundle(ledger, closed_run(ledger, "manual__1", grants=6, revoke=3), tmp_path, key=None))
    other = contents(bundle(ledger, closed_run(ledger, "manual__2", grants=6, revoke=3), tmp_path, key=None))
    assert verify(MemorySource(good)).holds
    for kind, bad in islice(corruptions(good, other, random.Random(7)), 2_000):
        # Anyone who computes all hashes again still needs the key of the real author.
        assert kind == "rehashed_without_the_key" or not verify(MemorySource(bad)).holds, kind


def corruptions(good: Files, other: Files, dice: random.Random) -> Iterator[tuple[str, Files]]:
    """Corrupted copies; those that happen to equal the original are left out."""
    for number in range(CORRUPTIONS):
        kind = list(KINDS)[number % len(KINDS)]
        bad = KINDS[kind](dict(good), other, dice)
        if bad != good:
            yield kind, bad


def _pick(files: Files, dice: random.Random, *, least: int = 1) -> str:
    return dice.choice([name for name, content in sorted(files.items()) if len(content) >= least])


def _lines(files: Files, dice: random.Random, least: int) -> tuple[str, list[bytes]]:
    many = [n for n, c in sorted(files.items()) if n.endswith(".jsonl") and c.count(b"\n") >= least]
    name = dice.choice(many)
    return name, files[name].splitlines(keepends=True)


def flip_bit(files: Files, _: Files, dice: random.Random) -> Files:
    name = _pick(files, dice)
    content = bytearray(files[name])
    content[dice.randrange(len(content))] ^= 1 << dice.randrange(8)
    return {**files, name: bytes(content)}


def edit_byte(files: Files, _: Files, dice: random.Random) -> Files:
    name = _pick(files, dice)
    content = bytearray(files[name])
    content[dice.randrange(len(content))] = dice.choice(b'0123456789abcdef"{},: \n\r\t')
    return {**files, name: bytes(content)}


def insert_bytes(files: Files, _: Files, dice: random.Random) -> Files:
    name = _pick(files, dice, least=0)
    at = dice.randint(0, len(files[name]))
    more = dice.choice([b"\n", b" ", b"\0", b"{}\n", b"0", b"\xef\xbb\xbf"])
    return {**files, name: files[name][:at] + more + files[name][at:]}


def remove_bytes(files: Files, _: Files, dice: random.Random) -> Files:
    name = _pick(files, dice)
    at = dice.randrange(len(files[name]))
    return {**files, name: files[name][:at] + files[name][at + dice.randint(1, 9) :]}


def truncate(files: Files, _: Files, dice: random.Random) -> Files:
    name = _pick(files, dice)
    return {**files, name: files[name][: dice.randrange(len(files[name]))]}


def remove_line(files: Files, _: Files, dice: random.Random) -> Files:
    name, lines = _lines(files, dice, 1)
    del lines[dice.randrange(len(lines))]
    return {**files, name: b"".join(lines)}


def repeat_line(files: Files, _: Files, dice: random.Random) -> Files:
    name, lines = _lines(files, dice, 1)
    lines.insert(dice.randint(0, len(lines)), dice.choice(lines))
    return {**files, name: b"".join(lines)}


def swap_lines(files: Files, _: Files, dice: random.Random) -> Files:
    name, lines = _lines(files, dice, 2)
    one, two = dice.sample(range(len(lines)), 2)
    lines[one], lines[two] = lines[two], lines[one]
    return {**files, name: b"".join(lines)}


def line_of_another_run(files: Files, other: Files, dice: random.Random) -> Files:
    name, lines = _lines(files, dice, 1)
    foreign = other[name].splitlines(keepends=True) or [b"{}\n"]
    lines[dice.randrange(len(lines))] = dice.choice(foreign)
    return {**files, name: b"".join(lines)}


def remove_file(files: Files, _: Files, dice: random.Random) -> Files:
    del files[_pick(files, dice, least=0)]
    return files


def extra_file(files: Files, _: Files, dice: random.Random) -> Files:
    return {**files, dice.choice(["notes.txt", "grants.jsonl~", "sub/grants.jsonl", "Manifest.json", ""]): b"x"}


def file_of_another_run(files: Files, other: Files, dice: random.Random) -> Files:
    name = _pick({n: c for n, c in files.items() if other.get(n) != c}, dice, least=0)
    return {**files, name: other[name]}


def swap_files(files: Files, _: Files, dice: random.Random) -> Files:
    one, two = dice.sample(sorted(files), 2)
    files[one], files[two] = files[two], files[one]
    return files


def manifest_of_another_run(files: Files, other: Files, dice: random.Random) -> Files:
    return {**files, **{name: other[name] for name in ("manifest.json", "signature.json")}}


def rehashed_without_the_key(files: Files, _: Files, dice: random.Random) -> Files:
    """A careful forgery: content changed, every hash made again, and no key, another key, or the old signature."""
    manifest = json.loads(files["manifest.json"])
    change = dice.choice(["number", "seal", "drop", "entry", "run"])
    files_in = list(manifest["files"])
    if change == "number":
        manifest["number"] += dice.randint(1, 1000)
    elif change == "seal":
        manifest["seal"] += 1
        root = f"{dice.getrandbits(256):064x}"
        manifest["previous"] = {"seal": manifest["seal"] - 1, "run": "run-1", "root": root, "link": root}
    elif change == "drop":
        del files_in[dice.randrange(len(files_in))]
    elif change == "entry":
        place = dice.randrange(len(files_in))
        files_in[place] = {**files_in[place], "sha256": f"{dice.getrandbits(256):064x}"}
    else:
        manifest["run"] += dice.choice("abc")
    again = encode(
        manifest_of(manifest["run"], manifest["number"], manifest["seal"], manifest["previous"], files_in)
    ) + b"\n"  # fmt: skip
    signature = dice.choice([files["signature.json"], sign(again, None), sign(again, OTHER)])
    return {**files, "manifest.json": again, "signature.json": signature}


def manifest_value(files: Files, _: Files, dice: random.Random) -> Files:
    """One value of the manifest changed in place, of another type or shape."""
    manifest = json.loads(files["manifest.json"])
    name = dice.choice(sorted(manifest))
    manifest[name] = dice.choice([None, [], {}, "", "x", -1, 0, 7, True, 1.5, ["a"], {"a": 1}, "0" * 64, [None], [{}]])
    return {**files, "manifest.json": encode(manifest) + b"\n"}


def signature_value(files: Files, _: Files, dice: random.Random) -> Files:
    """One text of the signature with its last character changed, or a key of small order, whose signature fits all."""
    facts = json.loads(files["signature.json"])
    texts = sorted(name for name, value in facts.items() if name != "algorithm" and value)
    name = dice.choice([*texts, "weak"])
    if name == "weak" or "signature" not in facts:
        raw = bytes([1, *[0] * 31])
        facts = {
            "algorithm": "ed25519",
            "key": key_name(raw),
            "public_key": raw.hex(),
            "signature": (raw + bytes(32)).hex(),
        }
    else:
        facts[name] = facts[name][:-1] + ("0" if facts[name][-1] != "0" else "1")
    return {**files, "signature.json": encode(facts) + b"\n"}


KINDS: dict[str, Callable[[Files, Files, random.Random], Files]] = {
    made.__name__: made
    for made in (
        flip_bit, edit_byte, insert_bytes, remove_bytes, truncate, remove_line, repeat_line, swap_lines,
        line_of_another_run, remove_file, extra_file, file_of_another_run, swap_files, manifest_of_another_run,
        rehashed_without_the_key, manifest_value, signature_value,
    )
}  # fmt: skip
