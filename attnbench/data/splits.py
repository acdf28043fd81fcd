"""Names of splits, and class-balanced splitting of samples, single ones or groups that belong together."""

import hashlib
from collections.abc import Iterable
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
    # choosing the lowest ranks first balances the classes
    chosen = np.lexsort((labels, ranks_in_class(labels, generator.permutation(len(labels)))))[:count]
    mask = np.zeros(len(labels), dtype=np.bool_)
    mask[chosen] = True
    return mask


def ranks_in_class(labels: Integers, order: Integers) -> Integers:
    """Return the place (N,) of each sample among those of its class, counted from 0, in an order (N,) of all."""
    members = order[np.argsort(labels[order], kind="stable")]
    classes, first = np.unique(labels[members], return_index=True)
    ranks = np.empty(len(labels), dtype=np.int64)
    ranks[members] = np.arange(len(labels)) - first[np.searchsorted(classes, labels[members])]
    return ranks


def take_groups(
    labels: Integers, groups: Integers, quotas: Integers, seed: int = 0, order: Integers | None = None
) -> NDArray[np.bool_]:
    """Choose whole groups with at most a given number of samples of each class.

    Groups are taken in their order if they still fit, but those with a sample of the rarest class first: otherwise
    they would no longer fit once the quotas of the other classes are full. Quotas are nearly reached if many groups are
    small.

    Args:
        labels: (N,) classes, from 0.
        groups: (N,) groups, from 0.
        quotas: (classes,) largest number of samples of each class.
        seed: draws the order of groups, unless it is given.
        order: (groups,) permutation of the groups.

    Returns:
        A mask (N,) of the samples of the chosen groups.
    """
    table = np.zeros((groups.max(initial=-1) + 1, len(quotas)), np.int64)
    np.add.at(table, (groups, labels), 1)
    rarest = np.where(table > 0, table.sum(axis=0), len(labels)).min(axis=1, initial=len(labels))
    if order is None:
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


def order_by_name(names: Iterable[bytes]) -> Integers:
    """Return the permutation (N,) that sorts names by their SHA-256: arbitrary, and the same everywhere."""
    hashes = np.array([hashlib.sha256(name).digest() for name in names], "S32")
    return np.argsort(hashes, kind="stable")


def quotas_of(counts: Integers, wanted: float) -> Integers:
    """Return how many samples of each class to hold out.

    Args:
        counts: (classes,) samples of each class.
        wanted: how many of all, balanced over the classes; or, below 1, the share of each class, which is rounded, but
            is at least one sample and never all.
    """
    if wanted >= 1:
        labels = np.repeat(np.arange(len(counts)), counts)
        return np.bincount(labels[hold_out(labels, int(wanted))], minlength=len(counts))
    shares = np.floor(counts * wanted + 0.5).astype(np.int64)
    return np.minimum(np.maximum(shares, int(wanted > 0)), np.maximum(counts - 1, 0))


def emptied(counts: Integers, wanted: int) -> Integers:
    """Return the classes of which `hold_out` chooses every sample.

    Args:
        counts: (classes,) samples of each class.
        wanted: how many of all it chooses.
    """
    if wanted <= len(counts) * (counts.min() - 1):  # the last sample of the rarest class is never reached
        return np.empty(0, np.int64)
    return np.flatnonzero((counts > 0) & (quotas_of(counts, wanted) >= counts))


def hold_out_by_name(
    labels: Integers, names: NDArray[np.bytes_], quotas: Integers, groups: NDArray[np.bytes_] | None = None
) -> NDArray[np.bool_]:
    """Choose samples by a hash of their names, so that a sample is chosen or not whatever order the files come in.

    Args:
        labels: (N,) classes, from 0.
        names: (N,) of the samples.
        quotas: (classes,) how many samples of each class.
        groups: (N,) names of groups, which are never split: then there are at most as many samples as the quotas say.

    Returns:
        A mask (N,) of the chosen samples.
    """
    if groups is None:
        return ranks_in_class(labels, order_by_name(names.tolist())) < quotas[labels]
    found, members = np.unique(groups, return_inverse=True)
    return take_groups(labels, members, quotas, order=order_by_name(found.tolist()))
