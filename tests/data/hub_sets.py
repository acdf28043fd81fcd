"""Image folders as the files of Hugging Face's `datasets` library."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq

from tests.data.packs import CLASSES, listed

datasets.disable_progress_bars()


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


def saved(content: pa.Table) -> datasets.Dataset:
    """A table as the library holds it; its features come from the table's description."""
    return datasets.Dataset(content)


def write_saved(folder: Path, root: Path, splits: Sequence[str] = ("train", "validation", "test"), **how: Any) -> Path:
    """An image folder as `DatasetDict.save_to_disk` writes it, in two files a split."""
    tables = {split: saved(table(listed(folder, split), **how)) for split in splits}
    datasets.DatasetDict(tables).save_to_disk(root, num_shards=dict.fromkeys(splits, 2))
    return root
