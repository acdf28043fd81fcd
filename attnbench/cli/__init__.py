"""The command line: one verb a module, each with a `main`; `views` is what the terminal shows."""
