"""A forest plot in characters: one bar for each line, over an axis in the heading."""

from rich.text import Text

from attnbench.formatting import signed
from attnbench.tables.forest import Forest, ForestLine, Interval

STYLES = {"better": "green", "worse": "red", "unclear": ""}
LEAST_WIDTH, MOST_WIDTH = 25, 61


def bars(forest: Forest, width: int) -> list[Text]:
    """Return the bars of all lines, each of as many characters as `width`."""
    return [_bar(forest, line, width) for line in forest.lines()]


def axis(forest: Forest, width: int) -> Text:
    """Return two lines: on which side of zero a method is better, and the numbers at zero and at the ends."""
    limits = forest.limits()
    zero = _place(0.0, limits, width)
    sides = ("worse ◂", "▸ better") if forest.better == "right" else ("better ◂", "▸ worse")
    signs = _line(width, [(zero - len(sides[0]) - 1, sides[0]), (zero, "│"), (zero + 2, sides[1])])
    low, high = (signed(number, decimals=1) for number in limits)
    return Text(f"{signs}\n{_line(width, [(zero, '0'), (0, low), (width - len(high), high)])}")


def _line(width: int, words: list[tuple[int, str]]) -> str:
    """Return a line with words at their places; those that do not fit, or would touch an earlier one, are left out."""
    line = [" "] * width
    for place, word in words:
        around = line[max(place - 1, 0) : place + len(word) + 1]
        if place >= 0 and place + len(word) <= width and not "".join(around).strip(" │"):
            line[place : place + len(word)] = word
    return "".join(line)


def _place(number: float, limits: Interval, width: int) -> int:
    """Return the character of a number, at an end for those outside."""
    share = (number - limits[0]) / (limits[1] - limits[0])
    return min(max(round(share * (width - 1)), 0), width - 1)


def _bar(forest: Forest, line: ForestLine, width: int) -> Text:
    limits = forest.limits()
    letters = [" "] * width
    letters[_place(0.0, limits, width)] = "│"
    if line.prediction:
        _draw(letters, line.prediction, limits, "┄┄┄")
    if line.interval:
        _draw(letters, line.interval, limits, "╞═╡" if line.pooled else "├─┤")
    letters[_place(line.mean, limits, width)] = "◆" if line.pooled else "●" if line.interval else "○"
    return Text("".join(letters), style=STYLES[forest.judge(line)], no_wrap=True)


def _draw(letters: list[str], interval: Interval, limits: Interval, look: str) -> None:
    """Draw an interval with the characters of its low end, its middle and its high end; arrows where it is cut."""
    start, end = (_place(number, limits, len(letters)) for number in interval)
    letters[start : end + 1] = look[1] * (end + 1 - start)
    letters[start] = "◂" if interval[0] < limits[0] else look[0]
    letters[end] = "▸" if interval[1] > limits[1] else look[2]
