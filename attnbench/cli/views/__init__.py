"""What the terminal shows: live sweeps, results and tables of results."""
