"""Oxford 102 Flowers: Nilsback and Zisserman, "Automated flower classification over a large number of classes", 2008.

In torchvision's layout: `flowers-102/` holds `jpg/image_00001.jpg` …, `imagelabels.mat` and `setid.mat`. The sets are
the authors': 10 training, 10 validation and 20 to 238 test images of each class.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attnbench.data.base import Split
from attnbench.data.files import ImageFiles, first_of
from attnbench.data.released import ReleasedDataSet
from attnbench.errors import require_choice

Integers = NDArray[np.int64]
SETS: dict[Split, str] = {"train": "trnid", "validation": "valid", "test": "tstid"}
_NAMES = (
    "pink primrose; hard-leaved pocket orchid; canterbury bells; sweet pea; english marigold; tiger lily; moon "
    "orchid; bird of paradise; monkshood; globe thistle; snapdragon; colt's foot; king protea; spear thistle; "
    "yellow iris; globe-flower; purple coneflower; peruvian lily; balloon flower; giant white arum lily; fire "
    "lily; pincushion flower; fritillary; red ginger; grape hyacinth; corn poppy; prince of wales feathers; "
    "stemless gentian; artichoke; sweet william; carnation; garden phlox; love in the mist; mexican aster; alpine "
    "sea holly; ruby-lipped cattleya; cape flower; great masterwort; siam tulip; lenten rose; barbeton daisy; "
    "daffodil; sword lily; poinsettia; bolero deep blue; wallflower; marigold; buttercup; oxeye daisy; common "
    "dandelion; petunia; wild pansy; primula; sunflower; pelargonium; bishop of llandaff; gaura; geranium; orange "
    "dahlia; pink-yellow dahlia?; cautleya spicata; japanese anemone; black-eyed susan; silverbush; californian "
    "poppy; osteospermum; spring crocus; bearded iris; windflower; tree poppy; gazania; azalea; water lily; rose; "
    "thorn apple; morning glory; passion flower; lotus; toad lily; anthurium; frangipani; clematis; hibiscus; "
    "columbine; desert-rose; tree mallow; magnolia; cyclamen; watercress; canna lily; hippeastrum; bee balm; ball "
    "moss; foxglove; bougainvillea; camellia; mallow; mexican petunia; bromelia; blanket flower; trumpet creeper; "
    "blackberry lily"
)
NAMES = tuple(_NAMES.split("; "))
"""Of the labels 1 to 102, as the authors' page and torchvision list them; the files hold numbers alone."""


class Flowers102(ReleasedDataSet):
    """1,020 training, 1,020 validation and 6,149 test images.

    train_on: `train`, with the set's own validation images to choose the best epoch by, or `trainval`, both together,
    of which `validation` can hold out some. Options as in `StreamedDataSet`.
    """

    name = "flowers102"
    folder = "flowers-102"
    needed = ("imagelabels.mat", "setid.mat", "jpg")
    all_classes = 102
    counts = (1_020, 6_149)
    terms = "none stated; photos from the web"
    source = "102flowers.tgz, imagelabels.mat and setid.mat from robots.ox.ac.uk/~vgg/data/flowers/102"

    def __init__(self, train_on: str = "train", **options: Any) -> None:
        require_choice("train_on", train_on, ("train", "trainval"))
        self.train_on = train_on
        super().__init__(**options)

    def read_class_names(self) -> Sequence[str]:
        return NAMES

    def files(self, split: Split) -> ImageFiles:
        labels = self._labels()
        sets = self._sets(len(labels))
        chosen = sets[split]
        if self.train_on == "trainval" and split != "test":
            chosen = np.concatenate([sets["train"], sets["validation"]]) if split == "train" else chosen[:0]
        paths = [f"jpg/image_{number:05d}.jpg" for number in chosen]
        self.require_there("setid.mat", paths)
        return ImageFiles.named(self.home, paths, labels[chosen - 1])

    def _labels(self) -> Integers:
        """Labels (N,) of the images, from 0."""
        labels = self._integers("imagelabels.mat", "labels") - 1
        if labels.min() < 0 or labels.max() >= len(NAMES):
            raise self.disagreement("imagelabels.mat", f"has labels that are not from 1 to {len(NAMES)}")
        return labels

    def _sets(self, images: int) -> dict[Split, Integers]:
        """Numbers of the images of each set, from 1."""
        sets = {split: self._integers("setid.mat", key) for split, key in SETS.items()}
        whole = np.concatenate(list(sets.values()))
        if whole.min() < 1 or whole.max() > images:
            told = f"numbers images from {whole.min()} to {whole.max()}; imagelabels.mat has labels of {images}"
            raise self.disagreement("setid.mat", told)
        numbers, times = np.unique(whole, return_counts=True)
        if (times > 1).any():
            raise self.disagreement(
                "setid.mat", f"names images twice: {first_of([str(number) for number in numbers[times > 1]])}"
            )
        return sets

    def _integers(self, file: str, key: str) -> Integers:
        """A variable of a MATLAB file as a list of whole numbers. Raises `UserError` if it cannot be read."""
        from scipy.io import loadmat

        try:
            values = loadmat(self.home / file)[key].astype(np.int64).reshape(-1)
        except KeyError as error:
            raise self.disagreement(file, f"has no variable {key}") from error
        except Exception as error:  # SciPy raises what it trips over: ValueError, zlib.error, NotImplementedError, …
            raise self.disagreement(file, f"cannot be read: {error}") from error
        if not len(values):
            raise self.disagreement(file, f"has nothing in its variable {key}")
        return values
