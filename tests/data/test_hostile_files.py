"""Data files made to do harm: each is rejected in one line, whatever it is called, and nothing is run or filled."""

import io
import os
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from attnbench.data.transforms.decode import DecodeError, StoredFormat, decode
from attnbench.errors import UserError
from tests.data.packs import packed_set, write_tar
from tests.data.pictures import folder_set, picture, write_folder
from tests.weights.networks import loaded, resnet20

POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 20 20\n%%EndComments\n(ran) (w) file closefile\nshowpage\n"


def png_of(width: int, height: int) -> bytes:
    """A PNG that claims to be so large; its pixels are not there."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(2**20))) + chunk(b"IEND", b"")


def saved_as(kind: str) -> bytes:
    content = io.BytesIO()
    picture(32, 32, 0).save(content, kind)
    return content.getvalue()


IMAGES: dict[str, tuple[bytes, str]] = {
    "PostScript": (POSTSCRIPT, "not an image of a known format"),
    "PDF": (b"%PDF-1.4\n", "not an image of a known format"),
    "an icon": (saved_as("ICO"), "not an image of a known format"),
    "JPEG 2000": (saved_as("JPEG2000"), "not an image of a known format"),
    "a large PNG": (png_of(60_000, 60_000), "exceeds limit"),
    "a long PNG": (png_of(1, 100_000_000), "too narrow"),
}


@pytest.mark.parametrize("case", IMAGES)
def test_images_are_of_few_formats_and_sizes(case: str) -> None:
    content, expected = IMAGES[case]
    with pytest.raises(DecodeError, match=expected):
        decode(content, StoredFormat(16))


def test_postscript_called_a_photo_starts_no_program(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = own_folder / "programs"
    programs.mkdir()
    (programs / "gs").write_text(f"#!/bin/sh\ntouch {own_folder / 'ran'}\n")
    (programs / "gs").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setattr("PIL.EpsImagePlugin.gs_binary", None)  # it looks for the program once
    root = write_folder(own_folder / "set")
    (root / "train" / "ant" / "photo.jpg").write_bytes(POSTSCRIPT)
    with pytest.raises(UserError, match=r"photo\.jpg: cannot be decoded: not an image of a known format"):
        folder_set(root).load("train")
    assert not (own_folder / "ran").exists()
    with Image.open(io.BytesIO(POSTSCRIPT)) as image:  # Pillow, left to itself, takes it for an image
        assert image.format == "EPS"


class Ran:
    """Runs code when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path("ran").touch, ()


def many_times_nested(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02" + b"(" * 100_000 + b".")
        archive.writestr("archive/version", b"3")


def write_header(path: Path) -> None:
    path.write_bytes(struct.pack("<Q", 2**60) + b"{" * 100)


WEIGHTS: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "a pickle that runs code": ("weights.pt", lambda path: torch.save({"state_dict": Ran()}, path)),
    "one in the old format": (
        "weights.pt",
        lambda path: torch.save({"a": Ran()}, path, _use_new_zipfile_serialization=False),
    ),
    "deeply nested": ("weights.pt", many_times_nested),
    "a huge header": ("weights.safetensors", write_header),
    "a pipe": ("weights.pt", os.mkfifo),
}


@pytest.mark.parametrize("case", WEIGHTS)
def test_files_of_weights_run_nothing_and_end(case: str) -> None:
    name, write = WEIGHTS[case]
    write(Path(name))
    with pytest.raises(UserError) as caught:
        loaded(name, resnet20())
    assert "\n" not in str(caught.value)
    assert not Path("ran").exists()


def special_members(path: Path, kind: bytes, target: str) -> None:
    with tarfile.open(path, "w") as archive:
        member = tarfile.TarInfo("0001.jpg")
        member.type, member.linkname = kind, target
        archive.addfile(member)
        label = tarfile.TarInfo("0001.cls")
        label.size = 1
        archive.addfile(label, io.BytesIO(b"0"))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_in_tar_files_are_no_images(kind: bytes, own_folder: Path) -> None:
    (own_folder / "set").mkdir()
    special_members(own_folder / "set" / "train.tar", kind, "/etc/hostname")
    with pytest.raises(UserError, match=r"0001 has no image"):
        packed_set("shards", own_folder / "set").check_available()


def test_names_in_tar_files_are_never_paths(own_folder: Path) -> None:
    image = saved_as("PNG")
    members = [("../../a.png", image), ("../../a.cls", b"0"), ("/tmp/b.png", image), ("/tmp/b.cls", b"1")]
    write_tar(own_folder / "set" / "train.tar", members)
    before = set(own_folder.rglob("*.png"))
    assert len(packed_set("shards", own_folder / "set").load("train")) == 2
    assert set(own_folder.rglob("*.png")) == before


def test_only_one_place_opens_images() -> None:
    package = Path(__file__).parents[2] / "attnbench"
    opening = [path.name for path in package.rglob("*.py") if "Image.open(" in path.read_text(encoding="utf-8")]
    assert opening == ["open_image.py"]
