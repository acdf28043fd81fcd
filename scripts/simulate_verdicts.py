"""Compare procedures for verdicts that are looked at after every seed, and update the tables in docs/statistics.md.

python scripts/simulate_verdicts.py          # about a minute on one core

A table has rows with up to 50 seeds. Its first row is the baseline, the second is compared with it, the others only
help to estimate the spread. Differences are in standard deviations of a row. A verdict is wrong if it is reached at any
look although there is no difference.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from marked_text import replace_between
from numpy.typing import NDArray
from scipy import stats

from attnbench.tables.verdicts.anytime import LEVEL, PRIOR_VARIANCE, critical_t
from attnbench.tables.verdicts.power import chance_beyond
from attnbench.tables.verdicts.variances import alike, borrow

PAGE = Path(__file__).parents[1] / "docs" / "statistics.md"
START, END = "<!-- simulation: scripts/simulate_verdicts.py -->", "<!-- /simulation -->"
MOST = 50
LOOKS = np.arange(2, MOST + 1)
EFFECTS = (0.5, 1.0, 1.5, 2.0, 3.0)
PRIORS = (1.0, 2.0, 4.0, 9.0, 16.0, 25.0)
NULL_TABLES, TABLES = 10_000, 2_000
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Decide = Callable[["Moments"], Bools]


@dataclass(frozen=True)
class Moments:
    """Means and variances of rows at every look: (B, R, looks). `counts` are seeds, broadcast to the same shape."""

    means: Floats
    variances: Floats
    counts: Floats


def draw(
    generator: np.random.Generator, tables: int, deviations: Sequence[float], effect: float, heavy: bool
) -> Floats:
    """Draw (B, R, 50) values; heavy tails are Student's t with 5 degrees of freedom, scaled to the same deviation."""
    shape = (tables, len(deviations), MOST)
    noise = generator.standard_t(5, shape) / math.sqrt(5 / 3) if heavy else generator.standard_normal(shape)
    values = noise * np.array(deviations)[:, None]
    values[:, 1] += effect
    return values


def sums(values: Floats) -> tuple[Floats, Floats]:
    """Return the cumulative sums of values and squares, (B, R, 50)."""
    return values.cumsum(-1), (values**2).cumsum(-1)


def moments(values: Floats) -> Moments:
    """Return the moments after 2 to 50 seeds in every row."""
    total, squares = (side[..., 1:] for side in sums(values))
    return moments_of(total, squares, np.broadcast_to(LOOKS.astype(float), total.shape))


def moments_of(total: Floats, squares: Floats, counts: Floats) -> Moments:
    """Return moments from sums of values and squares."""
    return Moments(total / counts, np.maximum((squares - total**2 / counts) / (counts - 1), 1e-300), counts)


def log_bayes_factor(t: Floats, freedom: Floats, size: Floats, prior: float = PRIOR_VARIANCE) -> Floats:
    """Return `attnbench.tables.verdicts.anytime.log_bayes_factor` for arrays."""
    shrink = 1 + prior * size
    ratio = t**2 / freedom
    return -np.log(shrink) / 2 + (freedom + 1) / 2 * (np.log1p(ratio) - np.log1p(ratio / shrink))


def pooled(m: Moments) -> tuple[Floats, Floats, Floats]:
    """Return t, degrees of freedom and effective seeds of the second row minus the first, spread pooled over all."""
    freedoms = m.counts - 1
    freedom = freedoms.sum(1)
    return contrast(m, (freedoms * m.variances).sum(1) / freedom), freedom, size_of(m)


def contrast(m: Moments, variance: Floats) -> Floats:
    """Return t of the second row minus the first, for a variance of one run."""
    return (m.means[:, 1] - m.means[:, 0]) / np.sqrt(variance / size_of(m))


def size_of(m: Moments) -> Floats:
    """Return the effective number of seeds of the second row minus the first."""
    return 1 / (1 / m.counts[:, 0] + 1 / m.counts[:, 1])


def p_values(m: Moments) -> Floats:
    """Return the p values of t tests with pooled spread."""
    t, freedom, _ = pooled(m)
    return 2 * stats.t.sf(np.abs(t), freedom)


def fixed(m: Moments) -> Bools:
    """Decide by a t test at each look, as if it were the only one."""
    return p_values(m) < LEVEL


def mixture(prior: float) -> Decide:
    """Return the rule that decides by the Bayes factor with a prior variance."""
    return lambda m: log_bayes_factor(*pooled(m), prior) >= -math.log(LEVEL)


def spending(levels: Floats) -> Decide:
    """Return the rule that decides by t tests at a level for each look."""
    return lambda m: p_values(m) < levels


def constant_levels(null: Floats) -> Floats:
    """Return one level for all looks, at which 5 % of tables without differences are decided by p values (B, looks)."""
    return np.full(len(LOOKS), np.quantile(null.min(1), LEVEL))


def spent_levels(null: Floats) -> Floats:
    """Return levels that spend the error by Lan and DeMets's function alpha log(1 + (e - 1) n / 50) (1983)."""
    spent = LEVEL * np.log1p((math.e - 1) * (LOOKS - 1) / (MOST - 1))
    alive, levels, gone = np.ones(len(null), dtype=bool), [], 0
    for look, target in enumerate(spent * len(null)):
        ps = np.sort(null[alive, look])
        levels.append(float(ps[max(0, round(target) - gone)]))
        rejected = alive & (null[:, look] < levels[-1])
        gone += int(rejected.sum())
        alive &= ~rejected
    return np.array(levels)


def guarded(m: Moments) -> Bools:
    """Decide as attnbench does: rows that are alike are pooled, unless the compared rows spread more than the pool."""
    variances, freedoms = np.moveaxis(m.variances, 1, -1), np.moveaxis(m.counts, 1, -1) - 1
    chosen = alike(freedoms, variances)
    freedom = np.maximum((chosen * freedoms).sum(-1), 1.0)
    common = np.maximum((chosen * freedoms * variances).sum(-1) / freedom, 1e-300)
    shares = variances[..., :2] / (freedoms[..., :2] + 1)
    own = shares.sum(-1) * size_of(m)
    own_freedom = shares.sum(-1) ** 2 / (shares**2 / freedoms[..., :2]).sum(-1)
    pools = chosen[..., :2].all(-1) & borrow(own, freedoms[..., :2].sum(-1), common, freedom)
    t = contrast(m, np.where(pools, np.maximum(common, own), own))
    return log_bayes_factor(t, np.where(pools, freedom, own_freedom), size_of(m)) >= -math.log(LEVEL)


def two_rows(m: Moments) -> Bools:
    """Decide by the Bayes factor with the spread of the two compared rows alone."""
    return mixture(PRIOR_VARIANCE)(Moments(m.means[:, :2], m.variances[:, :2], m.counts[:, :2]))


def share(decided: Bools) -> str:
    """Return the share of tables that are decided at any look."""
    return f"{100 * decided.any(1).mean():.1f} %"


def median_seeds(decided: Bools) -> str:
    """Return the median number of seeds at the first verdict, and the share of tables with one if some have none."""
    first = np.where(decided.any(1), decided.argmax(1) + LOOKS[0], MOST + 1)
    median = int(np.median(first))
    words = f"> {MOST}" if median > MOST else str(median)
    return words if decided.any(1).mean() > 0.995 else f"{words} ({100 * decided.any(1).mean():.0f} %)"


def procedures(generator: np.random.Generator) -> dict[str, Decide]:
    """Return the procedures by name; levels of looks are calibrated on tables of two rows."""
    null = p_values(moments(draw(generator, 4 * NULL_TABLES, (1, 1), 0, heavy=False)))
    levels = {"one level for all looks to 50": constant_levels(null), "Lan-DeMets levels to 50": spent_levels(null)}
    return {
        "t test at each look": fixed,
        **{name: spending(level) for name, level in levels.items()},
        **{f"Bayes factor, prior variance {prior:g}": mixture(prior) for prior in PRIORS},
        f"attnbench: prior variance {PRIOR_VARIANCE:g}, safeguards": guarded,
    }


def wrong_verdicts(generator: np.random.Generator, rules: dict[str, Decide]) -> Iterator[list[str]]:
    """Yield the share of wrong verdicts of each procedure, for tables of 2, 5 and 10 rows."""
    yield ["wrong verdicts at looks after 2 to 50 seeds", "2 rows", "5 rows", "10 rows"]
    null = [moments(draw(generator, NULL_TABLES, [1.0] * rows, 0, heavy=False)) for rows in (2, 5, 10)]
    yield ["one t test, after 10 seeds", *(share(fixed(m)[:, LOOKS == 10]) for m in null)]
    for name, rule in rules.items():
        yield [name, *(share(rule(m)) for m in null)]


def seeds_to_verdicts(generator: np.random.Generator, rules: dict[str, Decide], rows: int) -> Iterator[list[str]]:
    """Yield the median number of seeds of each procedure for several differences."""
    yield [f"median seeds to a verdict, {rows} rows", *(f"{effect:g} SD" for effect in EFFECTS)]
    tables = [moments(draw(generator, TABLES, [1.0] * rows, effect, heavy=False)) for effect in EFFECTS]
    yield ["one t test, seeds for a power of 80 %", *(str(planned_seeds(effect, rows)) for effect in EFFECTS)]
    for name, rule in rules.items():
        yield [name, *(median_seeds(rule(m)) for m in tables)]


def planned_seeds(effect: float, rows: int) -> int:
    """Return the fewest seeds in each row with which one t test with pooled spread has a power of 80 %."""

    def power(n: int) -> float:
        freedom = float(rows * (n - 1))
        return chance_beyond(float(stats.t.isf(LEVEL / 2, freedom)), freedom, effect * math.sqrt(n / 2))

    return next(n for n in range(2, 1000) if power(n) >= 0.8)


def robustness(generator: np.random.Generator, rows: int = 9) -> Iterator[list[str]]:
    """Yield wrong verdicts and seeds where variances differ or tails are heavy, with and without the safeguards."""
    wide = math.sqrt(3)
    cases: dict[str, tuple[list[float], bool]] = {
        "equal variances": ([1.0] * rows, False),
        "one compared row has 3 times the variance": ([1.0, wide] + [1.0] * (rows - 2), False),
        "both compared rows have 3 times the variance": ([wide] * 2 + [1.0] * (rows - 2), False),
        "the other rows have 3 times the variance": ([1.0] * 2 + [wide] * (rows - 2), False),
        "heavy tails (t with 5 degrees of freedom)": ([1.0] * rows, True),
    }
    rules = {"all rows pooled": mixture(PRIOR_VARIANCE), "two rows": two_rows, "attnbench": guarded}
    yield [f"wrong verdicts / median seeds at 2 SD, {rows} rows", *rules]
    for name, (deviations, heavy) in cases.items():
        null, real = (moments(draw(generator, TABLES * 2, deviations, effect, heavy)) for effect in (0.0, 2.0))
        yield [name, *(f"{share(rule(null))} / {median_seeds(rule(real))}" for rule in rules.values())]


def adaptive(generator: np.random.Generator) -> Iterator[list[str]]:
    """Yield wrong verdicts where seeds go to undecided rows only: six rows, of which two differ by 2 SD."""
    yield ["seeds go to", "equal variances", "compared rows 3 times", "heavy tails"]
    settings = (([1.0] * 6, False), ([math.sqrt(3)] * 2 + [1.0] * 4, False), ([1.0] * 6, True))
    for name, greedy in (("all undecided rows", False), ("the undecided row nearest to a verdict", True)):
        yield [name, *(f"{100 * wrong_share(generator, *setting, greedy):.1f} %" for setting in settings)]


def wrong_share(generator: np.random.Generator, deviations: Sequence[float], heavy: bool, greedy: bool) -> float:
    """Return the share of tables in which the second row is told from the first although they are equal."""
    values = draw(generator, TABLES, deviations, 0, heavy)
    values[:, 4:] += 2 * np.array(deviations)[4:, None]
    total, squares = sums(values)
    tables, rows = values.shape[:2]
    counts = np.full((tables, rows), 2)
    decided = np.zeros((tables, rows), dtype=bool)
    for _ in range((MOST - 2) * (rows - 1) if greedy else MOST - 2):
        factors = row_factors(total, squares, counts)
        decided[:, 1:] |= factors >= -math.log(LEVEL)
        wanted = np.where(decided[:, 1:] | (counts[:, 1:] >= MOST), -np.inf, factors)
        given = wanted > -np.inf
        if greedy:
            given &= np.arange(rows - 1) == wanted.argmax(1)[:, None]
        counts[:, 1:] += given
        counts[:, 0] = np.maximum(counts[:, 0], counts[:, 1:].max(1))
    return float(decided[:, 1].mean())


def row_factors(total: Floats, squares: Floats, counts: NDArray[np.int_]) -> Floats:
    """Return (B, R - 1) logarithms of the safeguarded Bayes factors of all rows against the first."""
    sums_so_far, squares_so_far = (
        np.take_along_axis(side, counts[..., None] - 1, axis=-1)[..., 0] for side in (total, squares)
    )
    m = moments_of(sums_so_far, squares_so_far, counts.astype(float))
    freedoms = m.counts - 1
    chosen = alike(freedoms, m.variances)
    freedom = np.maximum((chosen * freedoms).sum(-1, keepdims=True), 1.0)
    common = np.maximum((chosen * freedoms * m.variances).sum(-1, keepdims=True) / freedom, 1e-300)
    shares = m.variances / m.counts
    error = shares[:, :1] + shares[:, 1:]
    size = 1 / (1 / m.counts[:, :1] + 1 / m.counts[:, 1:])
    own_freedom = error**2 / (shares[:, :1] ** 2 / freedoms[:, :1] + shares[:, 1:] ** 2 / freedoms[:, 1:])
    own = error * size
    pools = chosen[:, :1] & chosen[:, 1:] & borrow(own, freedoms[:, :1] + freedoms[:, 1:], common, freedom)
    t = (m.means[:, 1:] - m.means[:, :1]) / np.sqrt(np.where(pools, np.maximum(common, own), own) / size)
    return log_bayes_factor(t, np.where(pools, freedom, own_freedom), size)


def widths(generator: np.random.Generator, rows: int = 9) -> Iterator[list[str]]:
    """Yield half the width of intervals in standard deviations, beside those that hold for one look alone."""
    counts = (3, 5, 10, 20, 50)
    yield [f"half the interval's width in SD, {rows} rows", *(f"{n} seeds" for n in counts)]
    freedom = [rows * (n - 1) for n in counts]
    one_look = [stats.t.isf(LEVEL / 2, nu) * math.sqrt(2 / n) for n, nu in zip(counts, freedom, strict=True)]
    yield ["t, one look, one comparison", *(f"{width:.2f}" for width in one_look)]
    yield ["Dunnett, one look, all rows", *(f"{dunnett_width(generator, rows, n):.2f}" for n in counts)]
    for name, tests in (("attnbench, one comparison", 1), ("attnbench, all rows", rows - 1)):
        bounds = [
            critical_t(LEVEL / tests, nu, n / 2) * math.sqrt(2 / n) for n, nu in zip(counts, freedom, strict=True)
        ]
        yield [name, *(f"{width:.2f}" for width in bounds)]


def dunnett_width(generator: np.random.Generator, rows: int, n: int) -> float:
    """Return half the width of Dunnett's intervals in standard deviations."""
    values = generator.standard_normal((rows, n))
    found = stats.dunnett(*values[1:], control=values[0], rng=generator)
    half = found.confidence_interval(1 - LEVEL).high[0] - (values[1].mean() - values[0].mean())
    return float(half / math.sqrt(values.var(axis=1, ddof=1).mean()))


def markdown(lines: Iterator[list[str]]) -> str:
    """Return a Markdown table; the first line is its head."""
    head, *rows = (f"| {' | '.join(line)} |\n" for line in lines)
    return head + "|---" + "|---:" * (head.count("|") - 2) + "|\n" + "".join(rows)


def simulate() -> str:
    """Return all tables."""
    generator = np.random.default_rng(13)
    rules = procedures(generator)
    tables = [wrong_verdicts(generator, rules), *(seeds_to_verdicts(generator, rules, rows) for rows in (2, 6))]
    tables += [robustness(generator), adaptive(generator), widths(generator)]
    return "\n".join(map(markdown, tables))


def main() -> None:
    """Replace the text between the marks."""
    replace_between(PAGE, START, END, f"\n{simulate()}")


if __name__ == "__main__":
    main()
