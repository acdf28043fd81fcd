"""UEC FOOD-100: Matsuda, Hoashi, Yanai, "Recognition of multiple-food images by detecting candidate regions", 2012.

`UECFOOD100/` holds `category.txt` (`id name`), and in `1` to `100` photos and `bb_info.txt` (`img x1 y1 x2 y2`), the
boxes of one kind of dish. A photo of several dishes is in the folder of each, under the same number. The content of a
box is classified: Rodríguez et al. (ECCV 2018) crop to the boxes before training.

No split was released. Attend and Rectify's log has 2,923 test images, a fifth. Our test split is a fifth of each
class's boxes, rounded up, drawn by a fixed generator in whole photos, so that no photo is in both splits; a class may
have a few boxes fewer, because photos must fit. Images held out for validation are whole photos too.
"""

from itertools import compress

import numpy as np

from attnbench.data.bases.published import LabelledSplits, PublishedDataSet
from attnbench.data.sources.image_files import ImageFiles
from attnbench.data.sources.label_files import class_names, numbers, read_rows, read_table
from attnbench.data.splits import take_groups

TEST_SHARE = 5
"""One box in this many is in the test split."""


class UECFood100(PublishedDataSet):
    """About 14,000 boxes of 100 dishes, each used as an image. Options as in `FileDataSet`."""

    name = "uecfood100"
    folder = "UECFOOD100"
    required = ("category.txt",)
    all_classes = 100
    counts = (14_361,)
    terms = "non-commercial research only"
    source = "UECFOOD100 from foodcam.mobi"
    extra_label_files = ("*/bb_info.txt",)

    def read(self) -> LabelledSplits:
        category = self.path_of("category.txt")
        dishes = read_table(category, header=True)
        classes = class_names(category, dishes.values())
        paths, crops, sizes = [], [], []
        for folder in dishes:
            path = self.path_of(f"{folder}/bb_info.txt")
            rows = read_rows(path, header=True)
            paths += [f"{folder}/{photo}.jpg" for photo, *_ in rows]
            crops.append(numbers(path, ((row[0], row[1:5]) for row in rows), int))
            sizes.append(len(rows))
        labels, edges = np.repeat(np.arange(len(dishes)), sizes), np.concatenate(crops)
        # a photo of several dishes has the same name in each folder
        _, photos = np.unique([path.partition("/")[2] for path in paths], return_inverse=True)
        tested = take_groups(labels, photos, -(-np.bincount(labels, minlength=len(dishes)) // TEST_SHARE))
        train, test = (
            ImageFiles.from_lists(self.home, list(compress(paths, chosen)), labels[chosen], crops=edges[chosen])
            for chosen in (~tested, tested)
        )
        return LabelledSplits(classes, train, test, groups=np.unique(photos[~tested], return_inverse=True)[1])
