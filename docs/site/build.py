"""Builds the documentation site of this version beside those of other versions: `make site`.

    build/site/index.html       goes on to the newest version
    build/site/versions.json    what the switcher of every version offers
    build/site/0.1.0/           one version; the others stay as they are

A link or an anchor that leads nowhere, and any other warning, fails the build.
"""

from __future__ import annotations

import json
import shutil
import sys
import tomllib
from argparse import ArgumentParser
from pathlib import Path
from tempfile import TemporaryDirectory

from packaging.version import InvalidVersion, Version
from sphinx.cmd.build import main as sphinx_build

ROOT = Path(__file__).parents[2]
REDIRECT = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Wanimate</title>
<meta http-equiv="refresh" content="0; url={version}/">
<p><a href="{version}/">Wanimate {version}</a></p>
</html>
"""


def main() -> int:
    """Build the site; return what the build returns."""
    parser = ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, default=ROOT / "build/site", help="the folder of the whole site")
    parser.add_argument("--path", default="/", help="the path at which the folder is served, such as /wanimate/")
    asked = parser.parse_args()
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    status = build(ROOT, asked.out / version)
    if not status:
        list_versions(asked.out, asked.path.rstrip("/"))
        sys.stderr.write(f"site: {asked.out / version}/index.html\n")
    return status


def build(source: Path, folder: Path) -> int:
    """Build one version from a tree of pages; return what Sphinx returns, and leave nothing if it failed."""
    shutil.rmtree(folder, ignore_errors=True)
    with TemporaryDirectory() as doctrees:
        options = ["--quiet", "--fail-on-warning", "--keep-going", "--builder", "html", "--doctree-dir", doctrees]
        status = sphinx_build([*options, "--conf-dir", str(ROOT / "docs/site"), str(source), str(folder)])
    if status:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        # The home page is the repository's README; its links are relative to the same folder.
        shutil.copy(folder / "README.html", folder / "index.html")
    return status


def list_versions(site: Path, path: str) -> None:
    """Write what the switchers offer, newest first, and where the root goes on to."""
    versions = sorted(filter(None, map(version_of, site.iterdir())), reverse=True)
    newest = next((version for version in versions if not version.is_prerelease), versions[0])
    offered = [
        {"version": str(version), "url": f"{path}/{version}/", "preferred": version == newest} for version in versions
    ]
    (site / "versions.json").write_text(json.dumps(offered, indent=2) + "\n")
    (site / "index.html").write_text(REDIRECT.format(version=newest))


def version_of(folder: Path) -> Version | None:
    """Return which version a folder holds; None for anything else."""
    try:
        return Version(folder.name) if (folder / "index.html").exists() else None
    except InvalidVersion:
        return None


if __name__ == "__main__":
    sys.exit(main())
