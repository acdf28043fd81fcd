"""A table of our own, with runs of a second: `mine/paper/lab/tiny.yaml` for `--config-dir mine`."""

from pathlib import Path

TABLE = """\
# Tiny networks on digits
title: Tiny networks on digits
source: nowhere
overrides: [data=digits, data.validation=200, backbone.width=4, recipe.epochs=2, trainer.threads=1]
columns:
  error: {label: digits, metric: top1_error}
baseline: plain
rows:
  plain: {label: plain, overrides: [attention=none], error: "3.5", parameters: 4.3k}
  se: {label: SE, overrides: [attention=se, attention.reduction=2], error: "3.0", unverified: [error], parameters: 9.9k}
  lost: {label: lost, error: "1.0", not_runnable: nobody knows how}
claims:
  - {says: SE helps, pairs: [[se, plain]]}
notes: [Made up.]
"""
PROFILES = """\
paper: {says: as written}
quick:
  says: smaller still
  overrides: [recipe.epochs=1]
  siblings: {resnet20: [backbone=resnet20, backbone.depth=8]}
"""


def write_table(text: str = TABLE, profiles: str = PROFILES, name: str = "tiny") -> Path:
    """Write the table and profiles below the current folder; returns the folder of configs."""
    folder = Path("mine")
    (folder / "paper" / "lab").mkdir(parents=True, exist_ok=True)
    (folder / "paper" / "lab" / f"{name}.yaml").write_text(text)
    (folder / "paper" / "profiles.yaml").write_text(profiles)
    return folder


def write_broken_attention() -> None:
    """Write `attention=broken`, which fails in training, beside the table of `write_table`."""
    Path("broken.py").write_text(
        "from attnbench.attention.base import Attention\n\n\n"
        "class Broken(Attention):\n"
        "    def losses(self, output, target):\n"
        "        raise RuntimeError('broken on purpose')\n"
    )
    Path("mine/attention").mkdir()
    Path("mine/attention/broken.yaml").write_text("# Fails\n_target_: broken.Broken\n")
