"""What is not used is counted by reason, and named so that a terminal can show it."""

from attnbench.data.sources.left_out import LeftOut


def test_reasons_have_counts_and_the_first_name() -> None:
    found = LeftOut(ignored=("labels.csv",))
    assert not found
    found.add(".txt", ["b.txt", "a.txt", "c.txt"])
    found.add("hidden", [".x"])
    found.add(".csv", ["labels.csv"])
    assert found
    assert str(found) == ".txt 3 (a.txt, …), hidden 1 (.x)"


def test_counts_can_be_kept_and_added() -> None:
    kept, sums = LeftOut(), LeftOut()
    kept.add(".txt", ["b.txt", "c.txt"])
    sums.add(".txt", ["d.txt"])
    sums.include(kept.rows("train.tar: "))
    sums.include(LeftOut().rows())
    assert (sums.counts, sums.first) == ({".txt": 3}, {".txt": "d.txt"})


def test_names_do_not_write_to_the_terminal() -> None:
    found = LeftOut()
    found.add("hidden", [".a\x1b[2J\n\udcff"])
    assert str(found) == "hidden 1 (.a?[2J??)"
