"""`make up`: the addresses, and the file of settings for other terminals."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from harness import eventually
from help_pages import check_page, help_pages
from wanimate.errors import WanimateError
from wanimate_devstack.cli import cli
from wanimate_devstack.env_file import env_file

PAGES = help_pages("wanimate-devstack", cli)


@pytest.mark.parametrize("name", PAGES)
def test_help_fits_80_columns_and_its_example_is_valid(name: str) -> None:
    check_page(PAGES[name])


def test_addresses_are_there_before_the_stack_is_ready(tmp_path: Path) -> None:
    output, settings = tmp_path / "output", tmp_path / "build" / "up.env"
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("WANIMATE_", "CELERY_"))}
    with output.open("w") as stdout:
        up = subprocess.Popen(
            [Path(sys.executable).with_name("wanimate-devstack"), "up"],
            stdout=stdout,
            stderr=subprocess.STDOUT,
            cwd=tmp_path,
            env=clean,
        )
    try:
        eventually(lambda: "In another terminal" in output.read_text() and settings.exists(), "it has its addresses")
        early = output.read_text()
        assert "is ready" not in early
        assert all(len(line) <= 80 for line in early.splitlines()), early
        assert stat.S_IMODE(settings.stat().st_mode) == 0o600
        eventually(lambda: "is ready" in output.read_text(), "it is ready")
        enqueue = "wanimate animate --image https://example.com/a.png --video https://example.com/b.mp4 --no-wait"
        typed = ["sh", "-c", f". build/up.env && {enqueue} && printenv WANIMATE_API_BASE_URL WANIMATE_WEBHOOK_SECRET"]
        job, vendor, secret = subprocess.run(
            typed, capture_output=True, text=True, check=True, cwd=tmp_path, env={**clean, "PATH": os.defpath}
        ).stdout.splitlines()
        assert job.endswith("queued")
        assert vendor in early
        assert secret.startswith("whsec_")
    finally:
        up.send_signal(signal.SIGTERM)
        assert up.wait(60) == 0, output.read_text()
    assert not settings.exists()


def test_a_second_stack_has_a_file_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "up.env"
    with env_file(path, {"A": "it's $1"}, ["one\ntwo"], "/bin dir") as first:
        with env_file(path, {}, [], "/bin") as second:
            assert (first.name, second.name) == ("up.env", "up-2.env")
        sourced = ["sh", "-c", f'. {first} && echo "$A" "$PATH"']
        shown = subprocess.run(sourced, capture_output=True, text=True, check=True, env={"PATH": "/usr/bin"}).stdout
        assert shown == "it's $1 /bin dir:/usr/bin\n"
    assert list(tmp_path.iterdir()) == []


def test_a_file_left_by_a_killed_stack_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "up.env"
    path.write_text("export OLD=1\n" * 100)
    path.chmod(0o644)

    with env_file(path, {"NEW": "2"}, [], "/bin") as used:
        assert (used, stat.S_IMODE(path.stat().st_mode)) == (path, 0o600)
        assert "OLD" not in path.read_text()


def test_a_folder_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(WanimateError, match="choose another file with --env-file"),
        env_file(tmp_path / "file" / "up.env", {}, [], "/bin"),
    ):
        pass
