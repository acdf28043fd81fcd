"""Series of plots from the results of a table."""
