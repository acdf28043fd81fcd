"""A report with everything that a report can hold, made of plain numbers."""

from dataclasses import replace

from attnbench.tables.report import Cell, ClaimResult, Curve, Heading, Line, PartResult, Plot, Report

HEADINGS = (
    Heading("label", "model", align="left", kind="row"),
    Heading("c10", "error, last epoch", "CIFAR-10"),
    Heading("c10_best", "error, best validation epoch", "CIFAR-10", kind="best"),
    Heading("c100", "error", "CIFAR-100 (100 classes)"),
    Heading("c100_printed", "printed", "CIFAR-100 (100 classes)", kind="printed"),
    Heading("parameters", "parameters", kind="cost"),
    Heading("protocol", "trained with", align="left"),
)
EMPTY = Cell("–", marks=(2,))


def measured(mean: float, std: float, n: int, best: bool = False, marks: tuple[int, ...] = ()) -> Cell:
    fields = {"mean": mean, "std": std, "n": n, "low": mean - 2 * std, "high": mean + 2 * std}
    return Cell(f"{mean:.2f} ± {std:.2f}", mean, fields, marks, best)


def printed(text: str, marks: tuple[int, ...] = ()) -> Cell:
    return Cell(text, float(text), {"printed": float(text)}, marks)


def size(number: int) -> Cell:
    return Cell(f"{number / 1e6:.2f} M", float(number), {"": number, "agrees": "True"})


LINES = (
    Line(
        "plain",
        (Cell("ResNet-50"), measured(6.3, 0.1, 5), EMPTY, measured(21.49, 1 / 3, 5), printed("21.49"),
         size(23_712_932), Cell("SGD & cosine")),
        "ResNet",
    ),
    Line(
        "bam",
        (Cell("ResNet-50 + BAM (r=16, d=4)", marks=(3,)), measured(5.9, 0.125, 5, best=True), EMPTY,
         measured(20.0, 0.25, 4, marks=(1, 3)), printed("20.00", (3,)), size(24_070_000), Cell("SGD & cosine")),
        "ResNet",
    ),
    Line(
        "gated",
        (Cell('a<b & "c_d" 100% | #1 $x^2$ ~{e}\\f `g` *h*'), measured(10.05, 12.5, 2),
         Cell("31.20", 31.2, {"mean": 31.2, "n": 1}), Cell("not run", marks=(2,)), printed("25.1"),
         Cell("–"), Cell("λ ≥ 0.5 × γ, ±1 − 2")),
        "Wide ResNet [released] *",
    ),
    Line(
        "ggam",
        (Cell("GGAM"), Cell("–"), Cell("30.05", 30.05, {"mean": 30.05, "n": 1}, best=True),
         measured(19.75, 0.2, 5, best=True), Cell("–"), size(36_500_000), Cell("--format, Adélaïde")),
        "Wide ResNet [released] *",
    ),
)  # fmt: skip
LAMBDAS = (0.0, 0.1, 0.5, 1.0, 3.0)
PLOTS = (
    Plot(
        "Error over λ",
        "weight λ of the loss",
        "top-1 error in %",
        (
            Curve(
                "GGAM",
                LAMBDAS,
                (21.4, 20.9, 20.1, 19.8, 20.6),
                (21.0, 20.5, 19.8, 19.5, 20.0),
                (21.8, 21.3, 20.4, 20.1, 21.2),
            ),
            Curve("a<b & c", LAMBDAS, (21.5, 21.2, 20.6, 20.2, 20.5)),
        ),
        log_x=True,
    ),
    Plot(
        "Error over epochs",
        "epoch",
        "top-1 error in %",
        tuple(
            Curve(
                f"network {n} with a rather long name",
                tuple(map(float, range(1, 21))),
                tuple(20 + n / 5 + 60 / (e + n) for e in range(1, 21)),
            )
            for n in range(6)
        ),
    ),
    Plot(
        "Accuracy against cost",
        "multiply-adds in G",
        "top-1 accuracy in %",
        (
            Curve("ResNet-50", (1.3,), (78.51,), (78.2,), (78.8,)),
            Curve("ResNet-50 + BAM", (1.31,), (80.0,), (79.8,), (80.2,)),
            Curve("ResNet-50 + SE", (1.305,), (79.9,)),
            Curve("ResNet-50 + CBAM", (1.315,), (79.95,)),
            Curve("WRN-28-10", (5.2,), (81.1,)),
            Curve("WRN-28-10 + GGAM with a long name", (5.25,), (81.2,)),
        ),
        kind="scatter",
    ),
)
REPORT = Report(
    "Error of <networks> with & without attention, in % (Table 1b)",
    HEADINGS,
    LINES,
    "Park et al., “BAM: Bottleneck Attention Module”, BMVC 2018, Table 1b; arXiv:1807.06514v2",
    (
        ClaimResult(
            "BAM is better than the plain network",
            "supported",
            "p = 0.012",
            (
                PartResult(
                    "ResNet-50 + BAM (r=16, d=4) − ResNet-50",
                    "supported",
                    -1.49,
                    -2.1,
                    -0.88,
                    0.012,
                    5,
                    -1.49,
                    spread="pooled",
                ),
            ),
            "section 4.2, wording seen",
            "CIFAR-100",
        ),
        ClaimResult(
            "GGAM is better than gated attention",
            "inconclusive",
            "one part is not decided",
            (
                PartResult("GGAM − gated", "supported", -9.7, -12.25, -7.15, 0.0001, 2),
                PartResult("a_b < c & d − gated", "inconclusive", 0.25, None, None, None, 1, 0.5, "one seed | 1"),
                PartResult("GGAM − lost", "not run", None, None, None, None, 0, -3.0),
            ),
            "inferred from the table's numbers",
            "CIFAR-10",
        ),
        ClaimResult("r < 16 is worse & slower", "contradicted", ""),
        ClaimResult("BAM is on a par with ResNet-101", "equivalent", "within 0.3", (), "section 5, wording seen"),
        ClaimResult("naive attention gets worse with depth", "not trained", "at 10.9 % of 10 classes"),
        ClaimResult("nobody ran it", "not run", "no runs"),
    ),
    (
        "4 of 5 seeds finished.",
        "Not run: the full training set is used, so there is no best validation epoch.",
        "Read from a_b.txt; 100% & more.",
    ),
    ("Profile short: trained on one GPU in minutes.", "- Cells hold mean ± standard deviation (n−1)."),
    PLOTS,
)
PLAIN = replace(
    REPORT,
    headings=(HEADINGS[0], replace(HEADINGS[1], group="")),
    lines=tuple(replace(line, cells=line.cells[:2], section="") for line in LINES),
    source="", claims=(), notes=(), remarks=(), plots=(),
)  # fmt: skip
"""A report with nothing but its table."""
