"""The help of the verbs that take overrides: groups, choices, options, examples. Reads file names only."""

import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path

from attnbench.config import search_path

TRAIN = """\
attnbench train [OVERRIDE ...]      train one run, or find it trained
attnbench train -m [OVERRIDE ...]   train every combination of values, one process a run

An override is group=choice or group.option=value. The run's folder is named after the configuration: the same
command again finds the finished run, or resumes an unfinished one after its last epoch.

{groups}

Options of a choice: attnbench train --cfg job -p attention attention=bam
Also: seed=0  output=outputs  run.again=true (train a finished run anew)

Flags:
  -m, --multirun        several values for a key, separated by commas, make a sweep: seed=0,1,2 or seed=range(5)
                        sweep.jobs=N (runs at a time)  sweep.skip_invalid=true  sweep.strict=true
  --cfg job             print the configuration and stop; -p GROUP prints a part of it
  --config-dir DIR      a folder of further configs, laid out like attnbench's (your own attention, data, recipe …)
  --config-name NAME    another primary config than train
  -sc install=bash      print the code for completion by the shell: eval "$(attnbench train -sc install=bash)"
                        (zsh and fish likewise)
  --hydra-help, --info  Hydra's own help and search path

Examples:
  attnbench train                                                     ResNet-20 on cluttered digits, minutes on a CPU
  attnbench train attention=bam seed=1
  attnbench train backbone=wrn28_10 attention=bam data=cifar100 data.root=DIR recipe=bam_cifar
  attnbench train -m attention=none,bam seed=0,1,2
  attnbench train -m attention=bam attention.combine=sum,product,max
  tensorboard --logdir outputs
"""

COST = """\
attnbench cost [OVERRIDE ...]      count parameters and multiply-adds; nothing is trained or read
attnbench cost -m [OVERRIDE ...]   the same for every combination of values

Overrides are those of attnbench train; the data set only tells image size and classes, and need not be on disk.

Flags:
  -m, --multirun     several values for a key: backbone=resnet50,resnet101
  --json             print JSON
  --config-dir DIR, --config-name NAME   as for attnbench train

Examples:
  attnbench cost backbone=resnet50 attention=bam data=cifar100
  attnbench cost -m backbone=resnet50,resnet101 attention=none,bam data=cifar100 backbone.stride_in=1x1
"""


REPRODUCE = """\
attnbench reproduce TABLE [OVERRIDE ...]   run what is missing of a paper's table, and print it

TABLE is a paper's table or figure, such as bam/1b; attnbench list paper names them. The jobs are listed with their
states and the time that they need. Stopped at any point and started again, it runs only what is missing. The table,
in all formats, and the records that it is made of are kept in outputs/reproduced/TABLE/PROFILE.

Overrides hold for every row (data.root=DIR, recipe.epochs=5); sweep.skip_invalid=true leaves out what cannot be run.

Flags:
  --profile NAME     paper: its own recipe (default); short: 30 epochs on its data; quick: tiny networks on cluttered
                     digits, in minutes on a CPU, whose numbers say nothing about the paper's
  --seeds N          seeds 0 to N-1 (default: 3); more than before adds to what is there
  --jobs N           runs at a time (default: what the machine takes)
  --dry-run          list the jobs, their states and the time, and stop
  --format terminal|markdown|latex|csv|html   of what is printed in the end; --to FILE writes it there
  --config-dir DIR   a folder of further configs, which may hold tables of your own in paper/

Examples:
  attnbench reproduce bam/1b --profile quick
  attnbench reproduce bam/1b --seeds 5 data.root=DIR
"""

TABLE = """\
attnbench table TABLE [OVERRIDE ...]   a paper's table from records alone: nothing is trained
attnbench table RUN [RUN ...]          a table of your own runs

Without runs, a paper's table shows what its networks cost beside what the paper prints. RUN is a folder, the start of a
hash, or a pattern in quotes, as for attnbench evaluate; runs that differ in their seeds alone share a cell.

Flags:
  --profile NAME     of a paper's table: paper (default), short or quick; cells of different profiles share no table
  --rows KEYS        of your own runs, by what rows differ: attention, or attention,attention.lambda (default: all in
                     which the runs differ)
  --columns KEYS     the same for columns: data
  --metric NAME      top1_accuracy (default), top1_error, top5_accuracy or top5_error
  --bootstrap        intervals of means by the bootstrap instead of Student's t
  --format terminal|markdown|latex|csv|html   the last is one page with sortable columns and plots
  --to FILE          write it there; the ending (.md, .tex, .csv, .html, .txt) tells the form
  --config-dir DIR   a folder of further configs

Examples:
  attnbench table bam/1b
  attnbench table bam/1b --profile quick --to table.html
  attnbench table 'outputs/runs/*' --rows attention --columns data --format latex
"""

EVALUATE = """\
attnbench evaluate RUN [RUN ...] [OVERRIDE ...]   test trained runs anew, also under other settings

RUN is a run's folder or one of its seeds' (outputs/runs/NAME-HASH/seed0), the start of its hash (033b92, 033b92/seed0),
or a pattern in quotes ('outputs/runs/cluttered*'). Nothing is trained, and the run's record stays as it is: the result
is printed and kept in evaluations.json beside it; the same evaluation again replaces its entry.

Overrides apply to the run's own configuration, and change data, attention and trainer. Without one, on the same
machine, the result is the recorded one. output=DIR: the folder that holds runs/ (default: outputs).

Flags:
  --checkpoint last|best   weights of the last epoch (default), or of the best validation epoch
  --responses              measure the mean absolute response of each stage too
  -m, --multirun           several values for a key, separated by commas: one evaluation for each
  --json                   print JSON: a list with one entry an evaluation
  --config-dir DIR         as for attnbench train

Examples:
  attnbench evaluate outputs/runs/cluttered_digits-resnet20-none-033b92cb62/seed0
  attnbench evaluate 033b92 -m data.distractors=0,4,8,16,32
  attnbench evaluate 'outputs/runs/*-gated-*' attention.predict=modules
  attnbench evaluate 033b92 trainer.precision=fp32 --checkpoint best
"""


def train_help(folders: Sequence[Path]) -> str:
    """The text of `attnbench train --help`."""
    groups = "\n".join(_group_lines(group, folders) for group in search_path.groups(folders))
    return TRAIN.format(groups=f"Groups and their choices:\n{groups}")


def _group_lines(group: str, folders: Sequence[Path]) -> str:
    names = list(shown_choices(group, folders))
    return textwrap.fill(
        ", ".join(names),
        width=110,
        initial_indent=f"  {group:<11} ",
        subsequent_indent=" " * 14,
        break_on_hyphens=False,
        break_long_words=False,
    )


def shown_choices(group: str, folders: Sequence[Path]) -> Iterable[str]:
    """Names to choose from, with a pattern (`wrn<depth>_<width>`) in place of a choice that has one."""
    patterns = search_path.name_patterns(group, folders)
    for choice in search_path.choices(group, folders):
        yield search_path.show_pattern(patterns[choice]) if choice in patterns else choice
