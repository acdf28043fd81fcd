"""Attention maps and class activation maps of trained networks: computed, drawn and scored.

    import attnbench
    from attnbench.explain import draw, explain

    run = attnbench.load_run("a37d17")
    found = explain(run, run.test_images[:8], labels=run.test_labels[:8])
    draw(found, "maps.png")

`explain` takes any `Classifier` too, so a user's own attention needs no more than its `maps()`.
"""

from attnbench.explain.draw import draw
from attnbench.explain.explanation import Explanation, explain

__all__ = ["Explanation", "draw", "explain"]
