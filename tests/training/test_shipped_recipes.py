"""Each recipe that is shipped trains a small network, from its configuration to the record."""

import re
from pathlib import Path

import pytest

from attnbench.config import search_path as folders
from attnbench.config.compose import compose
from attnbench.training.experiment import Experiment
from attnbench.training.plan import plan
from attnbench.training.train import train
from tests.data.pictures import write_folder

RECIPES = folders.choices("recipe", folders.search_path())
DIGITS = ("data=cluttered_digits", "data.train_images=256", "data.validation=64", "data.test_images=64")
FOLDER = ("data=image_folder", "data.root=photos", "data.image_size=32", "data.resize=32")
OPTIONS = {
    "timm_a3": (*DIGITS, "recipe.warmup_epochs=1"),
    "deit_small_style": (*DIGITS, "recipe.warmup_epochs=1"),
    "gated_fine_grained": FOLDER,
    "ggam_fine_grained": FOLDER,
}
"""Of recipes that are for images of one size, or warm up for more epochs than these."""
SMALL = ("backbone=resnet20", "backbone.width=8", "recipe.epochs=4", "data.batch_size=64", "output=out", "logger=none")


@pytest.mark.parametrize(("batch", "lr"), [(1024, 1e-3), (512, 5e-4), (64, 6.25e-5)])
def test_deits_rate_grows_with_the_batch(batch: int, lr: float) -> None:
    experiment = Experiment(compose(["recipe=deit_small_style", "data=digits", f"data.batch_size={batch}"]))
    assert experiment.recipe.lr == pytest.approx(lr)
    assert compose(["recipe=deit_small_style", "data=digits"])["data"]["batch_size"] == 1024


def test_a3_is_tested_on_its_share_of_an_image() -> None:
    """With the options that its head recommends."""
    head = (folders.shipped() / "recipe" / "timm_a3.yaml").read_text()
    words = re.findall(r"data\.(?:image_size|resize)=\d+", head)
    data = compose(["recipe=timm_a3", "data=imagenet", *words])["data"]
    assert data["image_size"] == 160
    assert data["image_size"] / data["resize"] == pytest.approx(0.95, abs=0.005)


@pytest.mark.slow
@pytest.mark.usefixtures("own_folder")
@pytest.mark.parametrize("recipe", sorted(name for name in RECIPES if not name.startswith("detection")))
def test_it_trains(recipe: str) -> None:
    write_folder(Path("photos"), images=24)
    record = train(plan(compose([*SMALL, *OPTIONS.get(recipe, DIGITS), f"recipe={recipe}"])))
    assert record is not None
    values = record.to_json()
    assert (values["status"], values["epochs"]) == ("finished", 4)
    assert 0 < values["train/loss"] < 10
    assert ("test/ema/top1_accuracy" in values) == (recipe == "deit_small_style")
