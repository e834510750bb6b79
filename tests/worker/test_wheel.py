"""What a worker's host installs."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_workers_wheel_carries_every_script(tmp_path: Path) -> None:
    uv = Path(sys.executable).parent / "uv"
    command = [str(uv), "build", "--quiet", "--wheel", "--out-dir", str(tmp_path), str(ROOT / "worker")]
    subprocess.run(command, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    carried = {Path(name).name for name in zipfile.ZipFile(wheel).namelist() if name.endswith(".lua")}
    assert carried == {path.name for path in (ROOT / "worker/src/wanimate_worker").rglob("*.lua")}
    assert "prelude.lua" in carried
