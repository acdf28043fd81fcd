"""UEC FOOD-100: Matsuda, Hoashi, Yanai, "Recognition of multiple-food images by detecting candidate regions", 2012.

`UECFOOD100/` holds `category.txt` (`id name`), and in `1` to `100` photos and `bb_info.txt` (`img x1 y1 x2 y2`), the
boxes of one kind of dish. A photo of several dishes lies in the folder of each, under the same number. What is
classified is the content of a box: Rodríguez et al. (ECCV 2018) crop to the boxes before training.

No split was released. Attend and Rectify's log has 2,923 test images, a fifth; ours is of our own making: a fifth of
each class's boxes, rounded up, by a fixed generator, in whole photos, so that no photo lies on both sides. Since photos
must fit, a class may have a few boxes less. Images held out for validation are whole photos too.
"""

from itertools import compress

import numpy as np

from attnbench.data.bases.published import Labelled, PublishedDataSet
from attnbench.data.sources.image_files import ImageFiles
from attnbench.data.sources.label_files import distinct, numbers, read_rows, read_table
from attnbench.data.splits import take_groups

TEST_SHARE = 5
"""One box in so many is tested on."""


class UECFood100(PublishedDataSet):
    """About 14,000 boxes of 100 dishes, each of which is an image. Options as in `FileDataSet`."""

    name = "uecfood100"
    folder = "UECFOOD100"
    needed = ("category.txt",)
    all_classes = 100
    counts = (14_361,)
    terms = "non-commercial research only"
    source = "UECFOOD100 from foodcam.mobi"
    more = ("*/bb_info.txt",)

    def read(self) -> Labelled:
        category = self.part("category.txt")
        dishes = read_table(category, header=True)
        classes = distinct(category, dishes.values())
        paths, crops, sizes = [], [], []
        for folder in dishes:
            path = self.part(f"{folder}/bb_info.txt")
            rows = read_rows(path, header=True)
            paths += [f"{folder}/{photo}.jpg" for photo, *_ in rows]
            crops.append(numbers(path, ((row[0], row[1:5]) for row in rows), int))
            sizes.append(len(rows))
        labels, edges = np.repeat(np.arange(len(dishes)), sizes), np.concatenate(crops)
        # a photo of several dishes has the same name in each folder
        _, photos = np.unique([path.partition("/")[2] for path in paths], return_inverse=True)
        tested = take_groups(labels, photos, -(-np.bincount(labels, minlength=len(dishes)) // TEST_SHARE))
        train, test = (
            ImageFiles.named(self.home, list(compress(paths, chosen)), labels[chosen], crops=edges[chosen])
            for chosen in (~tested, tested)
        )
        return Labelled(classes, train, test, groups=np.unique(photos[~tested], return_inverse=True)[1])
