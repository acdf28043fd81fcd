"""Memory that is freed stays with the process, where the C library can do that."""

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
import torch
from attnbench.training.malloc import keep_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory()
for _ in range(10):
    torch.ones(2**26 // 4)  # 64 MiB; the heap finds its place
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    torch.ones(2**26 // 4)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told")
def test_memory_is_got_from_the_system_once() -> None:
    def faults(how: str) -> int:
        command = [sys.executable, "-c", PROGRAM, how]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    pages = 2**26 // 4096
    assert faults("keep") < pages / 4
    assert faults("leave") > pages * 4  # else there is nothing to gain, and this file can go
