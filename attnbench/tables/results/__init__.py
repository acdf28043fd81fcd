"""The results of a table's cells, read from records."""
