"""Faults that a machine can have, in real runs: kills, signals and full disks at every operation on files."""
