"""Asks the vulnerability services about every locked dependency: `make audit`.

Exit codes: 0 nothing known, or nobody could be asked (said loudly); 1 a known vulnerability; 2 nobody could be asked
and `WANIMATE_REQUIRE_AUDIT=1` is set.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

#: Asked in this order until one knows our dependencies: a mirror of PyPI has no vulnerabilities to tell.
SERVICES = ("pypi", "osv")
#: Bound on one service, in seconds.
LONGEST_SECONDS = 300
BIN = Path(sys.executable).parent
ROOT = Path(__file__).parent.parent


def main() -> int:
    """Ask, say what was found, and return the exit code."""
    with TemporaryDirectory() as folder:
        requirements = Path(folder) / "requirements.txt"
        requirements.write_text(locked())
        for service in SERVICES:
            dependencies = ask(service, requirements)
            audited = [each for each in dependencies if "skip_reason" not in each]
            if audited:
                return judge(service, audited, skipped=len(dependencies) - len(audited))
    is_required = os.environ.get("WANIMATE_REQUIRE_AUDIT") == "1"
    tell("!!! audit: NOT DONE. No vulnerability service could be asked from here, so nothing is known.")
    if is_required:
        tell("!!! audit: failed, because WANIMATE_REQUIRE_AUDIT=1 is set.")
    else:
        tell("!!! audit: run it where pypi.org or api.osv.dev answers; WANIMATE_REQUIRE_AUDIT=1 makes this a failure.")
    return 2 if is_required else 0


def locked() -> str:
    """Return every third-party dependency of uv.lock, tools included, one pinned requirement a line."""
    command = [str(BIN / "uv"), "export", "--frozen", "--quiet", "--all-groups", "--all-extras", "--all-packages"]
    command += ["--no-emit-workspace", "--no-hashes", "--no-header", "--no-annotate"]
    return subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout


def ask(service: str, requirements: Path) -> list[dict[str, Any]]:
    """Return what a service says of each dependency; nothing if it cannot be reached."""
    command = [str(BIN / "pip-audit"), "--requirement", str(requirements), "--vulnerability-service", service]
    command += ["--no-deps", "--disable-pip", "--progress-spinner", "off", "--format", "json", "--timeout", "15"]
    try:
        ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=LONGEST_SECONDS)
        answer: list[dict[str, Any]] = json.loads(ended.stdout)["dependencies"]
    except subprocess.TimeoutExpired:
        tell(f"audit: {service} has not answered within {LONGEST_SECONDS} s")
        return []
    except (ValueError, KeyError):
        # pip-audit ends with 1 for a vulnerability and for an error alike: only its output tells them apart.
        reason = (ended.stderr.strip().splitlines() or ["it said nothing"])[-1]
        tell(f"audit: {service} could not be asked: {reason[:200]}")
        return []
    if all("skip_reason" in each for each in answer):
        tell(f"audit: {service} knows none of {len(answer)} dependencies; is it a mirror?")
    return answer


def judge(service: str, audited: list[dict[str, Any]], skipped: int) -> int:
    """Say what is known of the dependencies, and return the exit code."""
    vulnerable = [each for each in audited if each["vulns"]]
    for each in vulnerable:
        for known in each["vulns"]:
            fixed = ", ".join(known["fix_versions"]) or "no fixed version yet"
            tell(f"audit: {each['name']} {each['version']}: {known['id']} (fixed in: {fixed})")
    if skipped:
        tell(f"!!! audit: {service} knows nothing of {skipped} dependencies")
    tell(f"audit: {len(audited)} dependencies asked of {service}, {len(vulnerable)} with a known vulnerability")
    return 1 if vulnerable else 0


def tell(text: str) -> None:
    """Write one line where it is seen beside errors."""
    sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main())
