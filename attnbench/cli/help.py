"""Help of the verbs that take overrides: groups, choices, flags, examples."""

import textwrap
from collections.abc import Sequence
from pathlib import Path

from attnbench.config import search_path

TRAIN = """\
attnbench train [OVERRIDE ...]      train one network; if it is trained already, show its result
attnbench train -m [OVERRIDE ...]   train every combination of values, each run in its own process

An override is group=choice or group.option=value. Each configuration has its own run folder. Repeat the command to see
the result of a finished run, or to resume an unfinished one after its last finished epoch.

{groups}

To see the options of a choice:  attnbench train --cfg job -p attention attention=bam
Further keys:  seed=0  output=outputs  run.again=true (train a finished run again)
               debug=overfit|one_batch|profile (try the run out; nothing is recorded)

Flags:
  -m, --multirun        sweep: keys may have several values, separated by commas: seed=0,1,2 or 'seed=range(5)'
                        sweep.jobs=N (runs at a time)  sweep.skip_invalid=true  sweep.strict=true
                        launch=slurm|ray (on a cluster)  launch=dry (print the commands)
  --cfg job             print the configuration and stop; -p GROUP prints one part of it
  --config-dir DIR      a folder with your own configs (attention, data, recipe ...), laid out like attnbench's
  --config-name NAME    a primary config other than train
  -sc install=bash      print code for completion by the shell: eval "$(attnbench train -sc install=bash)"
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
attnbench cost [OVERRIDE ...]             count a network's parameters and multiply-adds, without training or data
attnbench cost --measure [OVERRIDE ...]   also measure speed and memory, beside the network without attention
attnbench cost -m [OVERRIDE ...]          the same for every combination of values

Overrides are those of attnbench train. Of the data set only image size and number of classes are used; it need not be
on disk.

Flags:
  -m, --multirun     keys may have several values: backbone=resnet50,resnet101
  --measure          time forward passes and training steps on random images, networks in turns, and take the peak
                     memory of training; networks with attention stand beside the one without; measure while nothing
                     else runs
  --batch N          with --measure: images of a step (default: data.batch_size; on a CPU a quarter of it); where memory
                     does not suffice, half as many
  --turns N          with --measure: turns (default: 7)
  --pixels N,N       heights and widths of images, in place of the data set's
  --layers           list the layers of one network: output, parameters, multiply-adds; with --measure also their times
  --json             print JSON, with the values of every turn
  --config-dir DIR, --config-name NAME   as for attnbench train

Examples:
  attnbench cost backbone=resnet50 attention=bam data=cifar100
  attnbench cost -m backbone=resnet50,resnet101 attention=none,bam data=cifar100 backbone.stride_in=1x1
  attnbench cost -m backbone=resnet50 attention=none,se,bam --pixels 128,224 --measure --batch 16
"""


BENCH = """\
attnbench bench [PART ...]   measure how fast attnbench is on this machine, against references in the same run

Each part is measured in turns with its references, and what counts is how many times as fast as them it is:
  loop      training ResNet-20, against a plain loop over the same batches and the usual loop
  host      training with next to no computation, against the plain loop, with a plain recipe and with every option
  folder    training ResNet-18 from JPEG files, against the loop of timm's training script; needs the package timm
  modules   attention modules that timm has too, against timm's, in CPU time; needs the package timm
  attention training steps of ResNet-20 with each attention, against those without
  loading   reading images, against the loaders of torchvision and, where it is installed, webdataset
Without a name, all parts are measured, in some minutes. Measure while nothing else runs. Where timm or webdataset is
not installed, a line says what is left out.

Flags:
  --turns N          measured turns (default: 7)
  --files N          image files that folder and loading read in an epoch (default: 512)
  --to FILE          the JSON file to write (default: outputs/bench/TIME.json)
  --against FILE     an earlier result: a case that became slower by more than the spread is named, and the exit status
                     is 1; so is a case that is gone, with exit status 0. Nothing counts as slower where the result is
                     of another machine or number of files

Examples:
  attnbench bench --to before.json
  attnbench bench modules --against before.json
"""

TUNE_LR = """\
attnbench tune-lr [OVERRIDE ...]   look for a learning rate of a configuration by a range test (Smith 2017)

The network is trained for some steps while recipe.lr rises by the same factor at each step. Printed is the rate at
which the loss falls most steeply; it suits the highest rate of a schedule. The losses are written to outputs/tune-lr,
as CSV and as PNG. Data, augmentation and optimiser are those of the run; nothing counts as a result. The exit status is
1 if the loss never falls.

Flags:
  --from RATE      the first rate (default: a thousandth of recipe.lr)
  --to RATE        the last rate (default: a hundred times recipe.lr); the test ends before if the loss rises too far
  --steps N        optimiser steps (default: 100)
  --config-dir DIR, --config-name NAME   as for attnbench train

Examples:
  attnbench tune-lr attention=bam
  attnbench tune-lr recipe=adamw attention=gated --from 1e-5 --to 0.1 --steps 200
"""

REPRODUCE = """\
attnbench reproduce TABLE [OVERRIDE ...]   train what a paper's table still lacks, and print the table

TABLE is a paper's table or figure, such as bam/1b; list them with attnbench list paper. The runs are listed first, with
their states and the time that the rest will take. Stop the command at any point and repeat it: only what is missing is
run. The table, in all formats, and the records behind it are kept in outputs/reproduced/TABLE/PROFILE; a run whose
record is kept there is not trained again.

Overrides apply to every row (data.root=DIR, recipe.epochs=5). sweep.skip_invalid=true leaves out what cannot be run.

Flags:
  --profile NAME     paper: the paper's own recipe (default); short: 30 epochs on its data; small: small networks on its
                     data; quick: tiny networks on cluttered digits, minutes on a CPU, to try a table out. Numbers of
                     small and quick are not comparable with the paper's
  --seeds N          seeds 0 to N-1 (default: 3); a larger N later adds to the runs that exist
  --only KEYS        train these rows and columns only, by their keys in the table's file: --only bam,none or
                     --only wrn28_10,c100; the table shows all that there is
  --jobs N           runs at a time (default: as many as the machine can take)
  --until-decided    rounds of seeds: first the --seeds of every row, then one more for the rows of claims that are open
                     and may still be decided; ends when all claims are decided or hopeless, or the budget is spent
  --budget TIME      with --until-decided: wall time, such as 90m, 2h or 1h30m; a round that does not fit is not begun
  --max-seeds N      with --until-decided: the most seeds that a row gets (default: 20)
  --dry-run          list the runs, their states and the time, and stop; with --until-decided also what the budget is
                     likely to buy
  --columns NAMES    columns of the printed table; see attnbench table --help
  --format terminal|markdown|latex|csv|claims-csv|html   format of the printed table; --to FILE writes it to a file
  --config-dir DIR   a folder with your own configs, which may hold your own tables in paper/

Examples:
  attnbench reproduce bam/1b --profile quick
  attnbench reproduce bam/1b --seeds 5 data.root=DIR
  attnbench reproduce bam/1b --profile quick --until-decided --budget 2h --max-seeds 10
"""

TABLE = """\
attnbench table TABLE [OVERRIDE ...]   print a paper's table from the runs that exist; nothing is trained
attnbench table RUN [RUN ...]          print a table of your own runs
attnbench table --pooled NAME ...      print what each attention adds to the same network without it

A paper's table without any runs shows the cost of its networks beside the numbers in the paper. RUN is a run's folder,
the start of its hash, or a pattern in quotes, as for attnbench evaluate; runs that differ only in their seed share a
cell. With --pooled, NAME is a kept table, a run, or a folder of either.

Flags:
  --profile NAME     profile of a paper's table: paper (default), short, small or quick; a table shows one
                     profile only (with --pooled: of the kept tables, default: all)
  --rows KEYS        for your own runs: keys that define the rows, such as attention or attention,attention.lambda
                     (default: all in which the runs differ)
  --columns NAMES    columns to show, separated by commas (default: default):
                     last, best (epoch), difference (to the baseline), printed (by the paper)
                     costs, or parameters, multiply_adds
                     measured, or speed, step, memory, time, energy (of training)
                     guide, or guide_loss, guide_gradient, guide_importance (share of GGAM's guide, in per cent)
                     default (last, difference, printed, costs, and best where it differs from last), all
                     keys of a paper's own columns (c10, c100); for your own runs, keys that define columns (data)
                     with --pooled: difference, none, seeds, parameters, multiply_adds, speed (not in default)
  --metric NAME      top1_accuracy (default), top1_error, top5_accuracy, top5_error; of detectors map50 (default), map,
                     map75, voc07_map50, voc12_map50; or a score of maps, such as energy_in_box, of runs explained with
                     --images 500
  --pooled           differences to attention=none in blocks of otherwise equal runs, and their random-effects mean
  --bootstrap        intervals of means by the bootstrap instead of Student's t
  --format terminal|markdown|latex|csv|claims-csv|html   claims-csv: a line for each part of a claim; html: a page
  --to FILE          write the table to a file; its ending (.md, .tex, .csv, .html, .txt) decides the format
                     (with --pooled also .png, .svg or .pdf: the forest plot alone)
  --config-dir DIR   a folder with your own configs

Examples:
  attnbench table bam/1b
  attnbench table bam/1b --profile quick --to table.html
  attnbench table gated/2 --profile quick --columns c100,difference,measured
  attnbench table 'outputs/runs/*' --rows attention --columns data --format latex
  attnbench table --pooled outputs/reproduced --to forest.html
"""

TUNE = """\
attnbench tune [OVERRIDE ...]   search the options of each method alike, then compare the best

Overrides are those of attnbench train -m; every combination of values is a method, such as an attention. Each method
gets the same search space, number of trials, seeds and rules. Trials that fall behind are stopped, by their validation
accuracy. The best trial of each method is trained again with seeds that no trial has seen, and only these runs read
the test set. The table and the study are kept in OUTPUT/tuned. Repeat the command after an interruption, or with a
larger tune.trials: it goes on. Needs pip install 'attnbench[tune]'.

  search=NAME            what is searched (default: lr_wd); attnbench list search shows the spaces
  tune.trials=20         trials of each method
  tune.seeds=1           seeds of each trial;  tune.final_seeds=3: fresh seeds of the best trial
  tune.pruner=median     or halving, none;  tune.grace=0.3: share of the epochs in which no trial is stopped
  tune.sampler=tpe       or random;  tune.startup=6: first trials, which are random, equal for all, and never stopped
  tune.parallel=auto     trials of a method at a time;  sweep.jobs=N: runs at a time
  tune.storage=URL       a database in place of a file in the output, such as postgresql://HOST/NAME

Flags:
  --format terminal|markdown|latex|csv|claims-csv|html   format of the printed table; --to FILE writes it to a file
  --config-dir DIR       a folder with your own configs, which may hold search spaces in search/

Examples:
  attnbench tune attention=none,bam,ggam
  attnbench tune attention=none,bam data=cifar100 data.root=DIR tune.trials=40 tune.seeds=2
  attnbench tune attention=ggam,bam search=lr_wd_lambda
"""

EVALUATE = """\
attnbench evaluate RUN [RUN ...] [OVERRIDE ...]   test trained runs again, also under other settings

RUN is a run's folder, or the folder of one of its seeds (outputs/runs/NAME-HASH/seed0), the start of its hash (a37d17,
a37d17/seed0), or a pattern in quotes ('outputs/runs/cluttered*'). Nothing is trained, and the run's record does not
change: the result is printed and kept in evaluations.json beside it, where the same evaluation replaces its entry.

Overrides apply to the run's own configuration, and may change data, attention and trainer. Without overrides, on the
same machine, the result equals the recorded one.

No code runs because a run's folder names it: classes are those of the choices, here or in your --config-dir. If a run
was trained with another one (attention._target_=PACKAGE.CLASS) and you trust it, add --trust PACKAGE.

Flags:
  --checkpoint last|best   weights of the last epoch (default), or of the best validation epoch
  --responses              also measure the mean absolute response of each stage
  -m, --multirun           keys may have several values, separated by commas: one evaluation for each
  --json                   print JSON: a list with one entry per evaluation
  --output DIR             the folder that holds runs/ (default: outputs); output=DIR says the same
  --config-dir DIR         as for attnbench train
  --trust PACKAGE          of a run that names a class of its own; trust=PACKAGE says the same

Examples:
  attnbench evaluate outputs/runs/cluttered_digits-resnet20-none-a37d173690/seed0
  attnbench evaluate a37d17 -m data.distractors=0,4,8,16,32
  attnbench evaluate 'outputs/runs/*-gated-*' attention.predict=modules
  attnbench evaluate a37d17 trainer.precision=fp32 --checkpoint best
"""

PREDICT = """\
attnbench predict RUN FILE [FILE ...]   name the most probable classes of image files, or the objects in them

RUN is one run, as for attnbench evaluate. Files are read as the run's test images: decoded, resized, cropped and
normalised. A file that cannot be read is one line, and does not stop the others. A run with task=detection gives the
classes, scores and boxes of objects, in pixels of the file.

Flags:
  --top K                      classes, or objects in a file, to name (default: 5)
  --maps DIR                   write each image's attention maps: DIR/FILE.npz (float32) and DIR/FILE.png
  --force                      with --maps: replace those that exist
  --format terminal|json|csv   format of the result
  --checkpoint last|best       weights of the last epoch (default), or of the best validation epoch
  --output DIR                 the folder that holds runs/ (default: outputs)
  --config-dir DIR             as for attnbench train
  --trust PACKAGE              of a run that names a class of its own, as for attnbench evaluate
  data.root=DIR                where the run's data is today, if it was moved

Examples:
  attnbench predict a37d17/seed0 cat.jpg dog.png --top 3
  attnbench predict a37d17/seed0 photos/*.jpg --maps maps --format csv
"""

EXPORT = """\
attnbench export RUN --format FORMAT   write a trained classifier as a file that other programs run

RUN is one run, as for attnbench evaluate. Normalisation is part of the exported network: it takes pixels, in batches of
any length and, where the network allows it, of any image size, and gives logits and probabilities. It is compared with
the original on random pixels and on test images, and not written if it computes something else.

Formats:
  onnx          for onnxruntime and others; needs attnbench[onnx]
  torch_export  a graph that torch.export.load reads, without attnbench
  safetensors   weights, from which attnbench builds the network, with a model card (.md) beside them

Flags:
  --format FORMAT          may be left out where the ending of --to says it (.onnx, .pt2, .safetensors)
  --to FILE                the file (default: exports/CHECKPOINT.ENDING in the run's folder)
  --force                  replace files that exist
  --pixels uint8|float     input: bytes from 0 to 255 (default), or single precision from 0 to 1
  --maps                   attention maps are outputs too
  --checkpoint last|best   weights of the last epoch (default), or of the best validation epoch
  --output DIR             the folder that holds runs/ (default: outputs)
  --config-dir DIR         as for attnbench train
  --trust PACKAGE          of a run that names a class of its own, as for attnbench evaluate
  data.root=DIR            where the run's data is today, if it was moved

Examples:
  attnbench export a37d17/seed0 --format onnx
  attnbench export a37d17/seed0 --to bam.onnx --maps --pixels float
  attnbench export a37d17/seed0 --format safetensors --checkpoint best
"""

EXPLAIN = """\
attnbench explain RUN [RUN ...]   draw what trained runs see in images, and measure it

For each run a sheet shows the images, class activation maps (Grad-CAM), and the attention's maps by stage; several runs
are also drawn side by side on the same images. A page (.html) shows the same to look through, offline: arrow keys step
through the images, lists filter them, a slider blends images and maps. Where objects have boxes, the maps are scored
beside a uniform map and a Gaussian at the centre: pointing game, energy in the box, box accuracy. RUN is as for
attnbench evaluate. Class activation maps need pip install 'attnbench[explain]'. For runs with task=detection, objects
and detections are drawn over the maps, and nothing is scored.

Flags:
  --images N         test images (default: 8); all are scored, the first 12 are drawn
  --image FILE       any image file, in place of test images; may be repeated
  --pick random|right|wrong|changed   which test images; right and wrong: as all runs classify them; changed: where runs
                     disagree (default: random)
  --seed S           of the choice of images (default: 0)
  --class true|predicted|NAME   the class whose evidence is shown (default: true; of --image, predicted)
  --method NAMES     gradcam (default), gradcam++, hirescam, layercam, eigencam, scorecam
  --layers NAMES     where class activation maps are taken: final, the map that is classified; attention, what the
                     attention puts out; or points, such as stage2.out or 'stage?.out' (default: final,attention)
  --faithfulness     also insertion and deletion, ROAD, the change in confidence where only what a map marks is shown,
                     and how much maps resemble those of randomised weights
  --checkpoint last|best   weights of the last epoch (default), or of the best validation epoch
  --to DIR           folder for sheets (.png), the page (.html), maps (.npz) and scores of each image (.csv)
                     (default: OUTPUT/explanations)
  --output DIR       the folder that holds runs/ (default: outputs); output=DIR says the same
  --config-dir DIR   as for attnbench train
  --trust PACKAGE    of a run that names a class of its own, as for attnbench evaluate
  data.root=DIR      where the run's data is today, if it was moved
  launch=local|slurm|ray|dry   each run is explained by a job of its own there, with the options that launch has for
                     attnbench train, sweep.jobs=N at a time; the pictures are drawn when all jobs are done

The scores' means are kept in explanations.json beside the run's record.

Examples:
  attnbench explain a37d17
  attnbench explain a37d17 --images 2000 --method gradcam,layercam
  attnbench explain a37d17/seed0 b81c02/seed0 --pick changed
  attnbench explain a37d17 --image cat.jpg --image dog.jpg --to pictures
  attnbench explain 'outputs/runs/*' --images 2000 launch=slurm launch.partition=cpu
"""

REPORT = """\
attnbench report RUN [RUN ...]   write an offline page for a group of runs

The page holds the table of the runs, the largest improvement on the row without attention first, with learning curves.
A row opens what is behind it: the command that trains it, its options beside the baseline's, each seed, the confusions,
and with --explain what a run of it sees in test images. RUN is as for attnbench evaluate.

Flags:
  --to DIR           folder of the report: index.html, and the table as CSV, Markdown and LaTeX; an earlier report there
                     is replaced (default: OUTPUT/report)
  --metric NAME      top1_accuracy (default), top1_error, top5_accuracy, top5_error; of detectors map50 (default), map
  --rows KEYS        keys by which rows differ (default: all in which the runs differ)
  --explain          also explain test images, as attnbench explain does; needs the data and the checkpoints
  --images N         test images of --explain (default: 8)
  --checkpoint last|best   weights that --explain uses: of the last epoch (default), or of the best validation epoch
  --output DIR       the folder that holds runs/ (default: outputs); output=DIR says the same
  --config-dir DIR   as for attnbench train
  --trust PACKAGE    with --explain: of a run that names a class of its own, as for attnbench evaluate
  data.root=DIR      with --explain: where the run's data is today, if it was moved

Examples:
  attnbench report 'outputs/runs/*' --to site
  attnbench report a37d17 b81c02 --explain
"""

CLEAN = """\
attnbench clean [KIND ...]         list what finished runs need no more, and how much room it takes
attnbench clean [KIND ...] --yes   remove it

KIND is one or several of these, by default all:
  logs          log.txt of finished runs
  checkpoints   weights of finished runs; without them the runs cannot be evaluated, explained or exported any more
  archived      runs that run.again=true set aside, with their records
  explanations  maps that jobs of attnbench explain found and that were drawn from

Records, metrics and predictions of finished runs stay, and so do tables made of them. Runs that are being trained, or
that can be resumed, are left alone.

Flags:
  --older-than AGE   only what has not changed for days, hours or minutes: 30d, 12h, 90m
  --yes              remove what is listed
  --output DIR       the folder that holds runs/ (default: outputs); output=DIR says the same

Examples:
  attnbench clean
  attnbench clean checkpoints --older-than 30d
"""

STATUS = """\
attnbench status [SWEEP|RUN ...]   show runs under way, waiting, done and failed

Without a name, everything in the output folder is shown. SWEEP is the id of a sweep, which begins with s, or its start;
RUN is as for attnbench evaluate. Any terminal and any machine that sees the output folder shows the same. What waits in
a cluster's queue is known where the cluster's commands are.

Flags:
  --watch            show it until everything is done; Ctrl-C ends the view alone
  --json             print JSON, with all runs
  --output DIR       the folder that holds runs/ and sweeps/ (default: outputs); output=DIR says the same

Examples:
  attnbench status
  attnbench status --watch
"""

STOP = """\
attnbench stop [SWEEP|RUN ...]   stop a sweep or runs so that the same command resumes them

Without a name, the sweep that is under way is stopped. Processes on this machine, or on another one that sees the
output folder, are asked to stop, as by Ctrl-C, and waited for; a cluster's jobs are cancelled. SWEEP and RUN are as for
attnbench status. The other runs of a sweep go on if single runs are stopped.

Flags:
  --output DIR       the folder that holds runs/ and sweeps/ (default: outputs); output=DIR says the same

Examples:
  attnbench stop
  attnbench stop a37d17/seed0
"""

LIST = """\
attnbench list                      all config groups and their choices
attnbench list GROUP                the choices of one group: {groups}
attnbench list data [--root DIR]    data sets: which are on disk, their terms of use, how to get the others
attnbench list paper                papers' tables
attnbench list search               search spaces of attnbench tune
attnbench list runs [--output DIR]  runs and their states

Flags:
  --root DIR         the folder with the data sets (default: data.root of each, which is data)
  --output DIR       the folder that holds runs/ (default: outputs)
  --config-dir DIR   a folder with your own configs

Examples:
  attnbench list attention
  attnbench list data --root ~/datasets
"""


def train_help(folders: Sequence[Path]) -> str:
    """Return the text of `attnbench train --help`."""
    groups = "\n".join(group_lines(group, folders) for group in search_path.groups(folders))
    return TRAIN.format(groups=f"Groups and their choices:\n{groups}")


def list_help(folders: Sequence[Path]) -> str:
    """Return the text of `attnbench list --help`."""
    return LIST.format(groups=", ".join(search_path.groups(folders)))


def group_lines(group: str, folders: Sequence[Path], indent: str = "  ", width: int = 110) -> str:
    """Return a group and its choices, wrapped below the first choice."""
    heading = f"{indent}{group:<11} "
    return textwrap.fill(
        ", ".join(search_path.shown_choices(group, folders)),
        width=width,
        initial_indent=heading,
        subsequent_indent=" " * len(heading),
        break_on_hyphens=False,
        break_long_words=False,
    )
