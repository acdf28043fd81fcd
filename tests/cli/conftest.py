"""The trained run that exports and predictions are tested with."""

from tests.export.conftest import bam_folder, bam_run, trained

__all__ = ["bam_folder", "bam_run", "trained"]
