"""Dividing samples that belong together: photos with several objects, or of the same person."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
Integers = NDArray[np.int64]


def hold_out(labels: NDArray[np.int64], count: int, seed: int = 0) -> NDArray[np.bool_]:
    """Mask (N,) of `count` images, as balanced over the classes as their numbers allow; always the same ones."""
    generator = np.random.default_rng(seed)
    order = generator.permutation(len(labels))
    # rank of each image among its class, in random order: taking the lowest ranks first balances the classes
    members = order[np.argsort(labels[order], kind="stable")]
    classes, first = np.unique(labels[members], return_index=True)
    rank = np.empty(len(labels), dtype=np.int64)
    rank[members] = np.arange(len(labels)) - first[np.searchsorted(classes, labels[members])]
    chosen = np.lexsort((labels, rank))[:count]
    mask = np.zeros(len(labels), dtype=np.bool_)
    mask[chosen] = True
    return mask


def take_groups(labels: Integers, groups: Integers, quotas: Integers, seed: int = 0) -> NDArray[np.bool_]:
    """Mask (N,) of whole groups that hold at most `quotas` (classes,) samples of each class; always the same ones.

    labels, groups: (N,), from 0. Each group is taken if it still fits, in random order, but those with a sample of the
    rarest class first: else samples of it that always come with others would be left when the others' quotas are full.
    Quotas are nearly reached where many groups are small.
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
    """Mask (N,) of at most `count` samples, balanced over the classes, such that no group is on both sides."""
    balanced = labels[hold_out(labels, count)]
    return take_groups(labels, groups, np.bincount(balanced, minlength=labels.max(initial=0) + 1))
