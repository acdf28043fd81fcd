"""Columns, and a remark, with a guide's shares of the loss and of gradients, which GGAM's training records."""

from collections.abc import Iterator

from attnbench.formatting import two_digits
from attnbench.tables.cost_cells import first_records
from attnbench.tables.report import NOTHING, Cell, Heading
from attnbench.tables.report_inputs import ReportInputs
from attnbench.tables.results.attention_diagnostics import GUIDE_SHARES, guide_shares
from attnbench.tables.spec.table import Row

TITLES = {
    "guide_loss_share": ("loss", "of the loss"),
    "guide_gradient_share": ("gradient", "of the gradient at the features"),
    "guide_importance_share": ("importance", "of the gradient at the channel importance"),
}
"""The title of a share's column, and the share in words."""
ABOUT = (
    "The guide's shares of the loss, of the gradient at the features (gradient) and of that at the channel importance "
    "(importance), against cross-entropy, at the end of training: means over seeds."
)


def guide_headings(inputs: ReportInputs) -> Iterator[Heading]:
    """Yield the headings of the shares, if any row's runs were trained with a guide."""
    if any(guide_shares(first_records(inputs, row)) for row in inputs.table.rows.values()):
        for key in GUIDE_SHARES:
            yield Heading(key, TITLES[key][0], "guide (%)", kind="guide", shown=False)


def guide_cell(inputs: ReportInputs, row: Row, key: str) -> Cell:
    """Build the cell of a share in per cent, from the runs of the row's first column that has any."""
    share = guide_shares(first_records(inputs, row)).get(key)
    return Cell(NOTHING) if share is None else Cell(two_digits(100 * share), share, {"": share})


def guide_remarks(inputs: ReportInputs) -> Iterator[str]:
    """Yield one remark with the shares in each row whose runs were trained with a guide."""
    found = {key: guide_shares(first_records(inputs, row)) for key, row in inputs.table.rows.items()}
    listed = "; ".join(
        f"{inputs.table.name_of(key)}: {' / '.join(two_digits(100 * share) for share in shares.values())} %"
        for key, shares in found.items()
        if shares
    )
    if listed:
        parts = ", ".join(words for _, words in TITLES.values())
        yield f"The guide's share {parts}, at the end of training, against cross-entropy: {listed}."
