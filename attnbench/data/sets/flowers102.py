"""Oxford 102 Flowers: Nilsback and Zisserman, "Automated flower classification over a large number of classes", 2008.

In torchvision's layout: `flowers-102/` holds `jpg/image_00001.jpg` …, `imagelabels.mat` and `setid.mat`. The authors'
splits have 10 training, 10 validation and 20 to 238 test images of each class.
"""

from typing import Any

import numpy as np

from attnbench.data.bases.published import LabelledSplits, PublishedDataSet
from attnbench.data.sources.image_files import ImageFiles
from attnbench.data.sources.label_files import LabelFileError, integers, labels_from_one, read_mat
from attnbench.errors import require_choice

SETS = {"train": "trnid", "validation": "valid", "test": "tstid"}
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
"""Names of the labels 1 to 102 on the authors' page and in torchvision; the files hold numbers only."""


class Flowers102(PublishedDataSet):
    """1,020 training, 1,020 validation and 6,149 test images.

    Args:
        train_on: `train`, with the set's own validation images, or `trainval`, both together, of which
            `data.validation` can hold out some.
        options: see `FileDataSet`.
    """

    name = "flowers102"
    folder = "flowers-102"
    required = ("imagelabels.mat", "setid.mat", "jpg")
    all_classes = 102
    counts = (1_020, 6_149)
    terms = "none stated; photos from the web"
    source = "102flowers.tgz, imagelabels.mat and setid.mat from robots.ox.ac.uk/~vgg/data/flowers/102"
    read_options = ("train_on",)

    def __init__(self, train_on: str = "train", **options: Any) -> None:
        require_choice("train_on", train_on, ("train", "trainval"))
        self.train_on = train_on
        super().__init__(**options)

    def read(self) -> LabelledSplits:
        labels_path, sets_path = map(self.path_of, self.required[:2])
        counted = integers(labels_path, read_mat(labels_path, "labels"))
        images = [f"jpg/image_{number:05d}.jpg" for number in range(1, len(counted) + 1)]
        labels = labels_from_one(labels_path, images, counted, len(NAMES))
        sets = {split: integers(sets_path, read_mat(sets_path, key)) for split, key in SETS.items()}
        whole = np.concatenate(list(sets.values()))
        if whole.min() < 1 or whole.max() > len(images):
            numbers = f"numbers images from {whole.min()} to {whole.max()}"
            raise LabelFileError(sets_path, f"{numbers}; {labels_path.name} has labels of {len(images)}")
        if self.train_on == "trainval":
            sets["train"] = np.concatenate([sets["train"], sets.pop("validation")])
        files = {
            split: ImageFiles.from_lists(self.home, [images[number - 1] for number in chosen], labels[chosen - 1])
            for split, chosen in sets.items()
        }
        return LabelledSplits(NAMES, files["train"], files["test"], files.get("validation"))
