"""Standard streams that a process gets in any state: whatever is printed, the program goes on."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

LIST = [sys.executable, "-m", "attnbench", "list"]
SIGNS = "import logging; from attnbench.cli.main import main; main(['--version']); print('−1.49 ± 0.5 ü')"


def run_in_shell(words: str, **variables: str) -> "subprocess.CompletedProcess[bytes]":
    """Run `attnbench` with these words and redirections."""
    command = f"'{sys.executable}' -m attnbench {words}"
    return subprocess.run(command, shell=True, check=False, capture_output=True, env={**os.environ, **variables})


@pytest.mark.parametrize(
    ("encoding", "printed"), [("ascii", b"-1.49 +- 0.5 ?\n"), ("latin-1", b"-1.49 \xb1 0.5 \xfc\n")]
)
def test_characters_that_the_terminal_lacks_are_replaced_by_what_they_mean(encoding: str, printed: bytes) -> None:
    code = f"{SIGNS}; logging.getLogger('attnbench').info('−1 ✓')"
    environment = {**os.environ, "PYTHONIOENCODING": f"{encoding}:strict"}
    result = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, env=environment)
    assert result.returncode == 0
    assert result.stdout.endswith(b"\n" + printed)
    assert result.stderr == b"attnbench: -1 ?\n"


@pytest.mark.parametrize("variables", [{"LC_ALL": "C"}, {"PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0", "LC_ALL": "C"}])
def test_help_is_printed_in_the_c_locale(variables: dict[str, str]) -> None:
    result = run_in_shell("train --help", **variables)
    assert (result.returncode, result.stderr) == (0, b"")
    assert result.stdout.startswith(b"attnbench train [OVERRIDE ...]")


@pytest.mark.parametrize("redirections", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_closed_stream_takes_what_is_printed(redirections: str) -> None:
    result = run_in_shell(f"list {redirections}")
    assert (result.returncode, result.stderr) == (0, b"")


def test_a_closed_stream_keeps_its_exit_status() -> None:
    assert run_in_shell("nothing 2>&-").returncode == 2


def test_no_file_gets_the_number_of_a_closed_stream(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    code = (
        "import os, sys; from attnbench.cli.output import set_up_output; set_up_output(); "
        f"file = open({str(kept)!r}, 'w'); os.write(1, b'lost'); print('lost'); file.write('kept')"
    )
    subprocess.run(f'"{sys.executable}" -c "{code}" >&- 2>&-', shell=True, check=True)
    assert kept.read_text() == "kept"


def test_a_reader_that_leaves_is_no_failure() -> None:
    result = subprocess.run(
        [*LIST, "--help"], check=False, stdout=broken_pipe(), stderr=subprocess.PIPE, env={**os.environ}
    )
    assert (result.returncode, result.stderr) == (0, b"")


def test_a_full_disk_below_standard_output_is_one_line_and_a_failure() -> None:
    result = run_in_shell("list >/dev/full")
    line = b"attnbench: standard output could not be written: No space left on device\n"
    assert (result.returncode, result.stderr) == (1, line)


def test_a_full_pipe_that_does_not_wait_gets_everything() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    code = "from attnbench.cli.output import set_up_output; set_up_output(); print('x' * 300_000)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=writer) as process, os.fdopen(reader, "rb") as stream:
        os.close(writer)
        assert len(stream.read()) == 300_001
        assert process.wait() == 0


def broken_pipe() -> int:
    """Return the end of a pipe that nobody reads."""
    reader, writer = os.pipe()
    os.close(reader)
    return writer
