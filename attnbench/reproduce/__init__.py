"""A paper's table from plan to kept results: what is missing is run, the table is written and archived."""
