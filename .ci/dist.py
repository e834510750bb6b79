"""Builds what a release consists of into dist/: `make dist`.

Wheels and source distributions of the four packages, the SBOM (CycloneDX, every locked dependency at run time, extras
included), and SHA256SUMS. Fails if the packages, the changelog or the images name different versions.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from argparse import ArgumentParser
from hashlib import sha256
from pathlib import Path

ROOT = Path(__file__).parent.parent
UV = str(Path(sys.executable).parent / "uv")
PACKAGES = ("producer", "worker", "simulator", "devstack")


def main() -> int:
    """Build, and return the exit code."""
    parser = ArgumentParser(description="Build the distributions of a release.")
    parser.add_argument("--out", type=Path, default=ROOT / "dist")
    out: Path = parser.parse_args().out.resolve()
    named = named_versions()
    version, *others = {found for found, _ in named}
    if others:
        sys.stderr.write("dist: versions differ:\n" + "".join(f"  {found} in {file}\n" for found, file in named))
        return 1
    for old in out.glob("wanimate*"):
        old.unlink()
    for package in PACKAGES:
        run("build", "--quiet", "--no-create-gitignore", "--out-dir", str(out), str(ROOT / package))
    (out / f"wanimate-{version}.cdx.json").write_text(sbom(version))
    files = sorted(out.glob("wanimate*"))
    sums = "".join(f"{sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in files)
    (out / "SHA256SUMS").write_text(sums)
    sys.stderr.write(sums)
    return 0


def named_versions() -> list[tuple[str, str]]:
    """Return every version that the repository names as its own, each with the file."""
    projects = ["pyproject.toml", *(f"{package}/pyproject.toml" for package in PACKAGES)]
    found = [(tomllib.loads((ROOT / file).read_text())["project"]["version"], file) for file in projects]
    patterns = {
        "CHANGELOG.md": r"^## \[(\d[^\]]*)\]",
        "deploy/Dockerfile": r"^ARG VERSION=(.*)$",
        "docker-compose.yml": r":-wanimate(?:-simulator)?:([^}]+)\}",
        "deploy/kubernetes/overlays/dev/kustomization.yaml": r"newTag: ([^}]+)\}",
        "deploy/kubernetes/overlays/production/kustomization.yaml": r"newTag: ([^}]+)\}",
        "worker/pyproject.toml": r"wanimate==([^\"]+)",
        "devstack/pyproject.toml": r"wanimate[a-z-]*==([^\"]+)",
    }
    for file, pattern in patterns.items():
        matches = re.findall(pattern, (ROOT / file).read_text(), re.MULTILINE)
        # Of the changelog, the newest.
        found += [(match, file) for match in (matches[:1] if file == "CHANGELOG.md" else matches)] or [("none", file)]
    return found


def sbom(version: str) -> str:
    """Return the SBOM of all four packages, as JSON."""
    options = ["--quiet", "--frozen", "--no-dev", "--all-packages", "--all-extras", "--format", "cyclonedx1.5"]
    parts = json.loads(run("export", *options))
    parts["metadata"]["component"] |= {"name": "wanimate", "version": version}
    return json.dumps(parts, indent=2) + "\n"


def run(*arguments: str) -> str:
    """Run uv and return its output."""
    return subprocess.run([UV, *arguments], check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT).stdout


if __name__ == "__main__":
    sys.exit(main())
