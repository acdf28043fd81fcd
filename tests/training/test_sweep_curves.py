"""The curves of a sweep, grouped by attention."""

import re
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.custom_scalar import layout_pb2

from attnbench.runs.epoch_rows import EpochRow
from attnbench.training.sweep_curves import Curve, write_curves

TAG = "custom_scalars__config__"


def rows(*accuracies: float) -> list[EpochRow]:
    return [
        EpochRow(epoch=n, images=10 * n, metrics={"train/loss": 1.0, "train/seconds": 1.0, "val/top1_accuracy": value})
        for n, value in enumerate(accuracies, 1)
    ]


def test_a_chart_has_the_curves_of_one_attention(own_folder: Path) -> None:
    runs = {Curve("none", "seed0"): rows(0.1), Curve("timm/se", "lr=0.1 seed0"): rows(0.2, 0.3)}
    write_curves(own_folder / "curves", {Curve("old", "seed0"): rows(0.5)})
    write_curves(own_folder / "curves", runs)
    events = EventAccumulator(str(own_folder / "curves"))
    events.Reload()
    (event,) = events.Tensors(TAG)
    layout = layout_pb2.Layout.FromString(event.tensor_proto.string_val[0])
    assert [category.title for category in layout.category] == ["val/top1_accuracy", "train/loss"]
    charts = {chart.title: list(chart.multiline.tag) for chart in layout.category[0].chart}
    assert charts.keys() == {"none", "timm/se"}
    tags = events.Tags()["scalars"]
    assert len(tags) == 4
    shown = [tag for tag in tags if re.match(charts["timm/se"][0], tag)]
    assert shown == ["val/top1_accuracy/timm/se/lr=0.1 seed0"]
    assert [(point.step, round(point.value, 3)) for point in events.Scalars(shown[0])] == [(10, 0.2), (20, 0.3)]
