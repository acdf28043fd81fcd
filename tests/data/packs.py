"""Image folders turned into what other tools write: webdataset's tar files, and files of Hugging Face's library."""

import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from attnbench.config.compose import compose
from attnbench.construct import build_data
from attnbench.data.bases.file_dataset import FileDataSet
from tests.data.pictures import SMALL

CLASSES = ("ant", "bee", "cat")
Members = Sequence[tuple[str, bytes]]


def packed_set(name: str, root: Path, *overrides: str) -> FileDataSet:
    """The set at `root`, with small settings."""
    data: Any = build_data(compose([f"data={name}", f"data.root={root}", *SMALL, *overrides]))
    assert isinstance(data, FileDataSet)
    return data


def listed(folder: Path, split: str) -> list[tuple[Path, int]]:
    """Images of an image folder with their classes' numbers, in its order."""
    return [(path, label) for label, name in enumerate(CLASSES) for path in sorted((folder / split / name).iterdir())]


def write_tar(path: Path, members: Members, mode: Any = "w", form: int = tarfile.USTAR_FORMAT) -> Path:
    """A tar file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode, format=form) as archive:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def samples(images: Sequence[tuple[Path, int]], first: int = 0, label: str = "cls") -> list[tuple[str, bytes]]:
    """Members of a tar file: images, and labels as numbers in `.cls` or as names in a field of `.json`."""
    members = []
    for number, (path, place) in enumerate(images, first):
        text = str(place) if label == "cls" else json.dumps({"id": number, label: CLASSES[place]})
        members += [(f"{number:04d}.{'cls' if label == 'cls' else 'json'}", text.encode())]
        members += [(f"{number:04d}{path.suffix}", path.read_bytes())]
    return members


def write_shards(
    folder: Path, root: Path, splits: Sequence[str] = ("train", "val", "test"), label: str = "cls", below: bool = False
) -> Path:
    """An image folder as tar files of eight samples; below: in a folder for each split."""
    for split in splits:
        images = listed(folder, split)
        for shard, first in enumerate(range(0, len(images), 8)):
            name = f"{split}/{shard:06d}.tar" if below else f"{split}-{shard:06d}.tar"
            write_tar(root / name, samples(images[first : first + 8], first, label))
    return root


def table(images: Sequence[tuple[Path, int]], named: bool = True, column: str = "image") -> pa.Table:
    """Rows as the library writes them: `Image`, and `ClassLabel` or plain names."""
    rows = [{"bytes": path.read_bytes(), "path": path.name} for path, _ in images]
    labels = [label if named else CLASSES[label] for _, label in images]
    return make_table(rows, labels, CLASSES if named else None, column)


def make_table(
    rows: Sequence[Any], labels: Sequence[Any], names: Sequence[str] | None = None, column: str = "image"
) -> pa.Table:
    """A table with the library's description of its features."""
    feature = {"_type": "Value", "dtype": "string"} if names is None else {"_type": "ClassLabel", "names": list(names)}
    described = {"info": {"features": {column: {"_type": "Image"}, "label": feature}}}
    image = pa.array(rows, pa.struct([("bytes", pa.binary()), ("path", pa.string())]))
    made = pa.table({column: image, "label": pa.array(labels)})
    return made.replace_schema_metadata({"huggingface": json.dumps(described)})


def halves(images: Sequence[tuple[Path, int]]) -> list[Sequence[tuple[Path, int]]]:
    middle = len(images) // 2
    return [images[:middle], images[middle:]]


def write_parquet(folder: Path, root: Path, splits: Sequence[str] = ("train", "val", "test"), **how: Any) -> Path:
    """An image folder as two parquet files a split, in small row groups."""
    (root / "data").mkdir(parents=True)
    for split in splits:
        for number, part in enumerate(halves(listed(folder, split))):
            path = root / "data" / f"{split}-{number:05d}-of-00002.parquet"
            pq.write_table(table(part, **how), path, row_group_size=4)
    return root


def write_arrow(path: Path, content: pa.Table, options: Any = None) -> None:
    """An Arrow file, in batches of five rows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, content.schema, options=options) as stream:
        stream.write_table(content, max_chunksize=5)


def write_saved(folder: Path, root: Path, splits: Sequence[str] = ("train", "validation", "test"), **how: Any) -> Path:
    """An image folder as `DatasetDict.save_to_disk` writes it, in two files a split."""
    for split in splits:
        parts = {f"data-{n:05d}-of-00002.arrow": part for n, part in enumerate(halves(listed(folder, split)))}
        for name, part in parts.items():
            write_arrow(root / split / name, table(part, **how))
        write_json(root / split / "state.json", {"_data_files": [{"filename": name} for name in parts]})
    write_json(root / "dataset_dict.json", {"splits": list(splits)})
    return root


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content), encoding="utf-8")
