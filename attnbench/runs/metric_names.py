"""The names that metrics have in records, in `metrics.jsonl`, in `evaluations.json` and in event files.

A name is flat: split, optionally `best`, and what is measured (`test/best/top1_accuracy`). Without `best` it is of the
last epoch, with it of the best validation epoch. Accuracies are fractions, losses are means over images.
"""

from collections.abc import Iterable

TRAIN, VAL, TEST, RECORDED = "train", "val", "test", "recorded"
BEST = "best"
AVERAGE = "ema"
"""Before what is measured of the average of the weights: `val/ema/top1_accuracy`, `test/best/ema/top1_accuracy`."""
TOP1, TOP5, LOSS, SECONDS = "top1_accuracy", "top5_accuracy", "loss", "seconds"
MAP, MAP50, MAP75 = "map", "map50", "map75"
"""COCO's mean average precision of a detector, over thresholds of 0.5 to 0.95 and at single ones, as a fraction."""
VOC07_MAP50, VOC12_MAP50 = "voc07_map50", "voc12_map50"
"""PASCAL VOC's mean average precision at 0.5: over 11 recalls as in VOC 2007, and over all as from VOC 2010 on."""
MAIN_METRICS = (MAP50, TOP1)
"""The metric of each task that decides which epoch is best, and that lists show; a run has one of them."""
TITLES = {MAP50: "mAP50", TOP1: "top-1 accuracy"}
"""The main metrics in words."""
ACCURACY = "_accuracy"
"""End of the names of accuracies."""


def metric_name(split: str, name: str, best: bool = False) -> str:
    """Return the flat name of a metric, `<split>/<name>` or `<split>/best/<name>`."""
    return "/".join([split, *([BEST] if best else []), name])


def main_metric(metrics: Iterable[str]) -> str:
    """Return which of `MAIN_METRICS` is among flat names, without its split; top-1 accuracy if none is."""
    measured = {name.rpartition("/")[2] for name in metrics}
    return next((name for name in MAIN_METRICS if name in measured), TOP1)


TRAIN_LOSS = metric_name(TRAIN, LOSS)
TRAIN_TOP1 = metric_name(TRAIN, TOP1)
TRAIN_SECONDS = metric_name(TRAIN, SECONDS)
VAL_TOP1 = metric_name(VAL, TOP1)
BEST_VAL_TOP1 = metric_name(VAL, TOP1, best=True)
TEST_TOP1 = metric_name(TEST, TOP1)
BEST_TEST_TOP1 = metric_name(TEST, TOP1, best=True)
RECORDED_TOP1 = metric_name(RECORDED, TOP1)
"""In an evaluation: the accuracy that the run's own test gave for the same checkpoint."""

MONITOR = VAL_TOP1
"""The metric that decides which epoch is best."""
ATTENTION_PREFIX = "attention/"
"""Of the attention's own diagnostics in training, such as the entropy of an importance."""
PREFIXES = (f"{TRAIN}/", f"{VAL}/", f"{TEST}/", ATTENTION_PREFIX)
"""Every key of a record that starts with one of these is a metric."""
RESPONSE_PREFIX = f"{TEST}/response/"
"""Of a stage's mean absolute response (Residual Attention Network, figure 4)."""
GATE_PREFIX = "gates/"
"""Of an attention map's statistics, in `metrics.jsonl` only."""
LEARNING_RATE = "lr"
IMAGES_PER_SECOND = "images_per_second"
EPOCH, IMAGES = "epoch", "images"
