"""Messages and log records of the command line: where they go and how they look."""

import logging

import pytest

from attnbench.cli.main import main
from attnbench.cli.output import set_up_output

Capture = pytest.CaptureFixture[str]


def test_log_messages_look_like_the_command_lines_own(capsys: Capture) -> None:
    set_up_output()
    logging.getLogger("attnbench.data").info("indexing %d shards", 3)
    logging.getLogger("attnbench").debug("not shown")
    assert capsys.readouterr() == ("", "attnbench: indexing 3 shards\n")


def test_setting_up_twice_prints_each_message_once(capsys: Capture) -> None:
    set_up_output()
    set_up_output()
    logging.getLogger("attnbench").warning("once")
    assert capsys.readouterr().err == "attnbench: once\n"


def test_a_warning_is_shown_once_by_each_command(capsys: Capture) -> None:
    for shown in ("attnbench: skipped: a file\n", "", "attnbench: skipped: a file\n"):
        if shown:
            set_up_output()
        logging.getLogger("attnbench.runs").warning("skipped: %s", "a file")
        assert capsys.readouterr().err == shown


def test_log_messages_leave_standard_output_to_results(capsys: Capture) -> None:
    assert main(["train", "--cfg", "job", "-p", "seed"]) == 0
    logging.getLogger("attnbench").info("a message")
    assert capsys.readouterr().out == "0\n"
