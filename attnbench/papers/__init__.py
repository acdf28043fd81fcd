"""The papers' tables: their rows, the runs that fill them, the statistics of the cells, and their print."""
