"""What each setting of a block is compared with: attention=none, or else its own attention, switched off.

An attention that replaces a part of the network, as GGAM does the head, is often trained without a network of
attention=none beside it. Its file may then declare which options switch it off (`attnbench.config.switched_off`).
"""

from collections.abc import Iterator, Sequence

from attnbench.tables.pooled.settings import PLAIN, Setting

Block = Sequence[Setting]


def pairs_in(block: Block) -> list[tuple[Setting, Setting]]:
    """Return the settings with attention that have a baseline in their block, each with it."""
    return [(setting, baseline) for setting in with_attention(block) if (baseline := baseline_of(setting, block))]


def with_attention(block: Block) -> list[Setting]:
    """Return the settings whose attention is on."""
    return [setting for setting in block if setting.attention != PLAIN and not setting.switched_off]


def baseline_of(setting: Setting, block: Block) -> Setting | None:
    """Return the block's setting of attention=none; without one, the setting's own attention, switched off.

    Of several that are the same network, the one with the most seeds is taken.
    """
    plain = next((one for one in block if one.attention == PLAIN), None)
    return plain or max(_switched_off(setting, block), key=lambda one: len(one.values), default=None)


def _switched_off(setting: Setting, block: Block) -> Iterator[Setting]:
    if setting.off is None:
        return
    for one in block:
        same = one.attention == setting.attention and setting.off.agree(setting.own_options, one.own_options)
        if same and one.switched_off:
            yield one


def lacking_baseline(block: Block) -> list[Setting]:
    """Return the settings with attention that have no baseline in their block."""
    return [setting for setting in with_attention(block) if baseline_of(setting, block) is None]


def name_baseline(baseline: Setting) -> str:
    """Say what a baseline is other than attention=none; empty for that."""
    return baseline.off.name if baseline.off and baseline.switched_off else ""
