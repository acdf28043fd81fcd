"""Check what options hold out of the training images of a set in files: some image, and not all of any class."""

from typing import TYPE_CHECKING

import numpy as np

from attnbench.data.sources.image_files import first_few
from attnbench.data.splits import Split
from attnbench.errors import UserError

if TYPE_CHECKING:
    from attnbench.data.bases.file_dataset import FileDataSet


def check_held_out(data: "FileDataSet") -> None:
    """Raise `UserError` for an option that holds out no image, or if a class has no training image left."""
    wanted: dict[Split, float] = {split: amount for split, amount in data.amounts.items() if amount}
    if not wanted:
        return
    listed, members = data.listed("train").labels, data.members("train")[1]
    held_out: dict[Split, int] = {"validation": len(listed) - len(members), "test": len(data.listed("test"))}
    for split, amount in wanted.items():
        if not held_out[split]:
            reason = f"every group of {data.group_name} has more" if data.group_name else "there are too few"
            problem = f"data.{split}={amount}: holds out none of the images in {data.root}: {reason}"
            raise UserError(f"data={data.name}: {problem}")
    lost = np.setdiff1d(data.given_labels(), listed[members])
    if len(lost):
        options = " ".join(f"data.{split}={amount}" for split, amount in wanted.items())
        problem = f"no training image is left of {first_few([data.classes[label] for label in lost])}"
        raise UserError(f"data={data.name}: {options}: {problem}; hold out fewer")
