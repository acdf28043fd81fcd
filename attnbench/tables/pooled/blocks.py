"""The comparisons that a pooled table shows: in each block, one setting of each method against its baseline."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import mean

from attnbench.config.compose import Composer
from attnbench.config.search_path import natural_order
from attnbench.errors import UserError
from attnbench.tables.pooled.baselines import baseline_of, lacking_baseline, name_baseline, pairs_in
from attnbench.tables.pooled.estimate import Effect, block_effects, similar_variances
from attnbench.tables.pooled.settings import Setting, name_blocks, of_attention, sort_into_blocks
from attnbench.tables.remarks import describe_device
from attnbench.tables.run_keys import describe_keys, short_names


@dataclass(frozen=True)
class Comparison:
    """A setting of a method in a block, against the block's runs without attention.

    Attributes:
        block: its name.
        plain: the runs of attention=none, or, without these, of the method's own attention, switched off.
        options: in which the setting differs from the choice's defaults, by dotted key.
        similar: whether the block's settings have one variance.
    """

    method: str
    block: str
    setting: Setting
    plain: Setting
    effect: Effect
    options: Mapping[str, object]
    similar: bool

    @property
    def baseline(self) -> str:
        """What the baseline is, where it is not attention=none."""
        return name_baseline(self.plain)

    @property
    def plain_mean(self) -> float:
        """The metric's mean without attention, in per cent."""
        return mean(self.plain.values.values())

    def extra_cost(self, key: str) -> float | None:
        """Return what the attention adds to `parameters` or `multiply_adds`, as a share of the plain network's."""
        ours, other = (getattr(setting.costs, key) for setting in (self.setting, self.plain))
        return (ours - other) / other if other else None

    def speed(self) -> float | None:
        """Return the training speed as a share of the plain network's, where both trained on the same device."""
        speeds = [_speeds(setting) for setting in (self.setting, self.plain)]
        shared = sorted(speeds[0].keys() & speeds[1].keys())
        ratios = [mean(speeds[0][device]) / mean(speeds[1][device]) for device in shared]
        return mean(ratios) if ratios else None


@dataclass(frozen=True)
class Comparisons:
    """All comparisons of a table, by method and block, and what is left out, one sentence a reason."""

    found: tuple[Comparison, ...]
    data: str
    notes: tuple[str, ...]

    def by_method(self) -> list[tuple[str, list[Comparison]]]:
        """Return the methods with their comparisons, in the order of their names."""
        return [(method, list(group)) for method, group in groupby(self.found, lambda found: found.method)]


def compare_in_blocks(settings: Iterable[Setting], rows: Sequence[str], composer: Composer) -> Comparisons:
    """Compare every method with no attention within each block.

    Args:
        settings: of any blocks.
        rows: keys of the attention whose values make a method, the choice `attention` first.
        composer: composes the choices' defaults.

    Raises:
        UserError: there is nothing to compare.
    """
    blocks = sort_into_blocks(settings)
    usable = [block for block in map(_learned, blocks) if pairs_in(block)]
    notes = [*_lacking_note(blocks), *_unlearned_note([block for block in blocks if pairs_in(block)])]
    if not usable:
        raise UserError(f"nothing to pool: {_why_nothing(blocks, notes)}")
    names, data = name_blocks(usable)
    defaults = Defaults(composer)
    found: list[Comparison] = []
    several: list[str] = []
    for block, name in zip(usable, names, strict=True):
        found += _compare(block, name, rows, defaults, several)
    ordered = sorted(found, key=lambda one: (natural_order(one.method), natural_order(one.block)))
    return Comparisons(tuple(ordered), data, (*_several_note(several), *notes))


def _learned(block: Sequence[Setting]) -> list[Setting]:
    return [setting for setting in block if setting.learned]


def _compare(
    block: Sequence[Setting], name: str, rows: Sequence[str], defaults: "Defaults", several: list[str]
) -> list[Comparison]:
    """Return a block's comparisons; methods of which one of several settings is chosen are added to `several`."""
    arms = {str(place): list(setting.values.values()) for place, setting in enumerate(block)}
    similar = similar_variances(arms)
    methods: dict[str, list[tuple[Setting, Setting]]] = {}
    for setting, plain in pairs_in(block):
        methods.setdefault(describe_keys(setting.config, rows), []).append((setting, plain))
    found = []
    for method, pairs in methods.items():
        nearest, plain = min(pairs, key=lambda pair: (len(defaults.changed(pair[0])), _in_order(defaults, pair[0])))
        if len(pairs) > 1:
            several.append(f"{method} in {name} ({len(pairs)} settings)")
        effect = block_effects(arms, str(block.index(plain)))[str(block.index(nearest))]
        options = {key: value for key, value in defaults.changed(nearest).items() if key not in rows}
        found.append(Comparison(method, name, nearest, plain, effect, options, similar))
    return found


def _in_order(defaults: "Defaults", setting: Setting) -> list[tuple[int, int | str]]:
    return natural_order(name_options(defaults.changed(setting)))


class Defaults:
    """The options that each choice of attention has by default, beside a given backbone."""

    def __init__(self, composer: Composer) -> None:
        self.composer = composer
        self.known: dict[tuple[str, str], dict[str, object]] = {}

    def changed(self, setting: Setting) -> dict[str, object]:
        """Return the options in which a setting differs from its choice's defaults; all, where these are not known."""
        choices = (setting.attention, setting.config.choices["backbone"])
        if choices not in self.known:
            self.known[choices] = self._compose(*choices)
        return {key: value for key, value in setting.options.items() if self.known[choices].get(key) != value}

    def _compose(self, attention: str, backbone: str) -> dict[str, object]:
        try:
            config = self.composer.compose([f"attention={attention}", f"backbone={backbone}"])
        except UserError:  # a choice that needs options of its own
            return {}
        return {key: value for key, value in config.identity.items() if of_attention(key)}


def name_options(options: Mapping[str, object]) -> str:
    """Write options in a few words: `reduction=8, dilation=2`."""
    short = short_names(list(options))
    return ", ".join(f"{short[key]}={value}" for key, value in options.items())


def _speeds(setting: Setting) -> dict[str, list[float]]:
    """Return the speeds of a setting's runs by device."""
    speeds: dict[str, list[float]] = {}
    for record in setting.records.values():
        if record.images_per_second:
            speeds.setdefault(describe_device(record), []).append(record.images_per_second)
    return speeds


def _lacking_note(blocks: Sequence[Sequence[Setting]]) -> list[str]:
    """Name the blocks in which an attention has no baseline, and what would be one."""
    lacking = [(block, found) for block in blocks if (found := lacking_baseline(block))]
    if not lacking:
        return []
    names, _ = name_blocks([block for block, _ in lacking])
    texts = [f"{name} ({', '.join(sorted({one.attention for one in found}))})"
             for name, (_, found) in zip(names, lacking, strict=True)]  # fmt: skip
    own = {one.attention: one.off for _, found in lacking for one in found if one.off}
    also = [f" Runs of {choice} with {off.describe()}{_and_same(off.same)} would be a baseline too."
            for choice, off in own.items()]  # fmt: skip
    return [f"Left out, as no run there has attention=none: {'; '.join(dict.fromkeys(texts))}.{''.join(also)}"]


def _and_same(keys: Sequence[str]) -> str:
    return f" and the same {', '.join(keys)}" if keys else ""


def _unlearned_note(blocks: Sequence[Sequence[Setting]]) -> list[str]:
    """Name the networks that have not learned, with their accuracy and that of their baseline."""
    found = [(block, one, plain) for block in blocks for one in block
             if not one.learned and (plain := baseline_of(one, block))]  # fmt: skip
    if not found:
        return []
    names = dict(zip(map(id, blocks), name_blocks(blocks)[0], strict=True))
    texts = []
    for block, one, plain in found:
        beside = f", {name_baseline(plain) or 'none'} {plain.reached or 0:.1f} %" if plain is not one else ""
        texts.append(f"{one.attention} in {names[id(block)]} ({one.reached or 0:.1f} %{beside})")
    rules = "; ".join(dict.fromkeys(one.rule for _, one, _ in found))
    return [f"Left out, as they have not learned ({rules}): {'; '.join(texts)}."]


def _several_note(several: Sequence[str]) -> list[str]:
    if not several:
        return []
    flag = "--rows attention,attention.OPTION makes a line of each value"
    return [f"Of several settings the one nearest to the defaults is shown ({flag}): {'; '.join(several)}."]


def _why_nothing(blocks: Sequence[Sequence[Setting]], notes: Sequence[str]) -> str:
    if notes:
        return " ".join(notes)
    kinds = sorted({setting.attention for block in blocks for setting in block})
    return f"all runs have attention={', '.join(kinds)}; it takes some with and some without" if kinds else "no runs"
