"""Whether a detector learns the objects of a few images by heart: `debug=overfit`."""

from collections.abc import Callable
from typing import Any

import torch

from attnbench.detection.loaders import Batch, Target
from attnbench.detection.metrics import coco_metrics
from attnbench.detection.module import DetectionModule
from attnbench.runs.metric_names import MAP50
from attnbench.training.debug import overfit_steps
from attnbench.training.metrics import total

LEARNT = 0.95
"""Mean average precision at 0.5 on the images themselves at which their objects count as learnt by heart."""
EVERY = 25
"""Steps between two looks at it."""


def overfit(module: DetectionModule, say: Callable[[str], None]) -> bool:
    """Train on the first batch under the recipe's schedule, shortened; return whether its objects are found then."""
    batch: Any = module.loaders["train"].epoch().batch(0)  # a detection set's: lists of images and targets
    images, targets = batch
    optimizer = module.configure_optimizers()
    about = f"mAP50 on the {len(images)} images of a batch"
    found = 0.0
    for number in overfit_steps(module.recipe, optimizer):
        total(module.net(images, targets)).backward()
        module.optimize(optimizer)
        if (number + 1) % EVERY == 0 and (found := precision_on(module, batch)) >= LEARNT:
            say(f"overfit: {about} is {found:.1%} after {number + 1} steps, so they are learnt")
            return True
    say(
        f"overfit: {about} is still {found:.1%} after {number + 1} steps; "
        "try another recipe.lr, or look for a fault in network or boxes"
    )
    return False


@torch.no_grad()
def precision_on(module: DetectionModule, batch: Batch) -> float:
    """Return the mean average precision at 0.5 on a training batch; 0 if it has no object."""
    images, targets = batch
    module.eval()
    found = [{name: values.cpu() for name, values in each.items()} for each in module.net(images)]
    module.train()
    return coco_metrics(found, [_all_counted(target) for target in targets])[MAP50] or 0.0


def _all_counted(target: Target) -> Target:
    none = torch.zeros(len(target["labels"]), dtype=torch.bool)
    return {"boxes": target["boxes"].cpu(), "labels": target["labels"].cpu(), "crowd": none, "difficult": none}
