"""Names of splits, and class-balanced splitting of samples, single ones or groups that belong together."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
Integers = NDArray[np.int64]


def hold_out(labels: NDArray[np.int64], count: int, seed: int = 0) -> NDArray[np.bool_]:
    """Choose samples to hold out, as balanced over the classes as their numbers allow.

    Args:
        labels: (N,) of all samples.
        count: how many to hold out.
        seed: of the choice, which is otherwise always the same.

    Returns:
        A mask (N,) of the chosen samples.
    """
    generator = np.random.default_rng(seed)
    order = generator.permutation(len(labels))
    # rank of each sample in its class, in random order: choosing the lowest ranks first balances the classes
    members = order[np.argsort(labels[order], kind="stable")]
    classes, first = np.unique(labels[members], return_index=True)
    rank = np.empty(len(labels), dtype=np.int64)
    rank[members] = np.arange(len(labels)) - first[np.searchsorted(classes, labels[members])]
    chosen = np.lexsort((labels, rank))[:count]
    mask = np.zeros(len(labels), dtype=np.bool_)
    mask[chosen] = True
    return mask


def take_groups(labels: Integers, groups: Integers, quotas: Integers, seed: int = 0) -> NDArray[np.bool_]:
    """Choose whole groups with at most a given number of samples of each class.

    Groups are taken in random order if they still fit, but those with a sample of the rarest class first: otherwise
    they would no longer fit once the quotas of the other classes are full. Quotas are nearly reached if many groups are
    small.

    Args:
        labels: (N,) classes, from 0.
        groups: (N,) groups, from 0.
        quotas: (classes,) largest number of samples of each class.
        seed: of the choice, which is otherwise always the same.

    Returns:
        A mask (N,) of the samples of the chosen groups.
    """
    table = np.zeros((groups.max(initial=-1) + 1, len(quotas)), np.int64)
    np.add.at(table, (groups, labels), 1)
    rarest = np.where(table > 0, table.sum(axis=0), len(labels)).min(axis=1, initial=len(labels))
    order = np.random.default_rng(seed).permutation(len(table))
    left, taken = quotas.copy(), np.zeros(len(table), np.bool_)
    for group in order[np.argsort(rarest[order], kind="stable")]:
        if (table[group] <= left).all():
            left -= table[group]
            taken[group] = True
    return taken[groups]


def hold_out_groups(labels: Integers, groups: Integers, count: int) -> NDArray[np.bool_]:
    """Return a mask (N,) of at most `count` samples, balanced over the classes, that splits no group."""
    balanced = labels[hold_out(labels, count)]
    return take_groups(labels, groups, np.bincount(balanced, minlength=labels.max(initial=0) + 1))
