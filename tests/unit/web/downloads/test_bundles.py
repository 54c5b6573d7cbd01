"""Which folders are served as bundles, and the archive that is made of one."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

import pytest

from rescind.web.downloads import bundles
from rescind.web.downloads.bundles import find_bundle, packed

FILES = {"manifest.json": b"{}\n", "review.jsonl": b"line\n" * 200_000, "signature.json": b"{}\n"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of bundles, with one in it; beside it lies a folder that is nobody's business."""
    for place in ("bundles/000001-run", "secret"):
        (tmp_path / place).mkdir(parents=True)
        for name, content in FILES.items():
            (tmp_path / place / name).write_bytes(content)
    return tmp_path / "bundles"


def test_a_bundle_in_the_folder_is_found_by_path_and_by_address(folder: Path) -> None:
    path = folder / "000001-run"
    assert find_bundle(str(path), [folder]) == path.resolve()
    assert find_bundle(path.as_uri(), [folder]) == path.resolve()


def test_nothing_outside_the_folder_is(folder: Path) -> None:
    (folder / "link").symlink_to(folder.parent / "secret")
    (folder / "loop").symlink_to(folder.parent)
    for address in (
        str(folder.parent / "secret"),
        f"{folder}/../secret",
        f"{folder}/link",
        f"{folder}/loop/secret",
        f"file://{folder}/..%2Fsecret",
        str(folder),
        str(folder.parent),
        f"{folder}/missing",
        f"{folder}/nul\x00",
        "000001-run",
        "",
        "s3://bucket/000001-run",
        f"file://elsewhere{folder}/000001-run",
    ):
        assert find_bundle(address, [folder]) is None, address
    assert find_bundle(str(folder / "000001-run"), []) is None
    assert find_bundle(str(folder / "000001-run"), [folder.parent]) is None


def test_a_folder_with_anything_else_in_it_is_no_bundle(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = folder / "000001-run"
    for name in ("key.pem", "items.csv", "odd name.json", "x.json.key"):
        (place / name).write_text("no")
        assert find_bundle(str(place), [folder]) is None, name
        (place / name).unlink()
    (place / "deeper.json").mkdir()
    assert find_bundle(str(place), [folder]) is None
    (place / "deeper.json").rmdir()
    (place / "link.json").symlink_to(folder.parent / "secret" / "manifest.json")
    assert find_bundle(str(place), [folder]) is None
    (place / "link.json").unlink()
    assert find_bundle(str(place), [folder]) is not None
    monkeypatch.setattr(bundles, "MOST_BYTES", 1000)
    assert find_bundle(str(place), [folder]) is None
    monkeypatch.undo()
    (place / "manifest.json").unlink()
    assert find_bundle(str(place), [folder]) is None, "a copy that was cut short has no manifest"


def test_the_archive_holds_every_file_and_is_the_same_each_time(folder: Path) -> None:
    content = b"".join(packed(folder / "000001-run"))
    for file in (folder / "000001-run").iterdir():
        file.touch()
    assert b"".join(packed(folder / "000001-run")) == content
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.namelist() == ["README.txt", *(f"000001-run/{name}" for name in sorted(FILES))]
        assert [archive.read(f"000001-run/{name}") for name in sorted(FILES)] == [FILES[name] for name in sorted(FILES)]
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    assert len(content) < len(FILES["review.jsonl"]) / 10


def test_the_archive_leaves_piece_by_piece(folder: Path) -> None:
    """What is in memory does not grow with the bundle."""
    (folder / "000001-run" / "grants.jsonl").write_bytes(os.urandom(8 << 20))
    pieces = [len(piece) for piece in packed(folder / "000001-run")]
    assert sum(pieces) > 8 << 20
    assert max(pieces) < 1 << 20


def test_a_file_that_changes_meanwhile_ends_in_no_archive(folder: Path) -> None:
    large = folder / "000001-run" / "grants.jsonl"
    large.write_bytes(os.urandom(4 << 20))
    pieces = packed(folder / "000001-run")
    sent = [next(pieces), next(pieces)]  # the README, and the beginning of the first file
    with large.open("r+b") as file:
        file.truncate(1 << 20)
    with pytest.raises(OSError, match=r"grants\.jsonl was changed"):
        sent.extend(pieces)
    with pytest.raises(zipfile.BadZipFile):
        zipfile.ZipFile(io.BytesIO(b"".join(sent)))
