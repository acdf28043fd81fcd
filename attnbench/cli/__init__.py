"""The command line: each verb is a module with a function `main`; `views` holds what the terminal shows."""
