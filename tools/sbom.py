"""The bills of materials of both distributions (PEP 770): what is inside them of other projects, and its licences.

    python -m tools.sbom

They are files of the repository, in CycloneDX's format, because nothing in them changes but with a version or with what
is vendored. Neither distribution bundles a dependency.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from tools import vendor
from zespan_serverless import __version__

ROOT = Path(__file__).parents[1]
PRICES = ROOT / "zespan_serverless" / "providers" / "_prices.py"

# distribution -> its file
FILES = {
    "zespan-serverless": ROOT / "zespan-serverless.cdx.json",
    "zespan-serverless-dev": ROOT / "dev" / "zespan-serverless-dev.cdx.json",
}
LICENSES = {"htm": "Apache-2.0", "preact": "MIT", "@preact/signals": "MIT", "@preact/signals-core": "MIT"}


def made() -> dict[Path, str]:
    """Make the text of each file."""
    inside = {"zespan-serverless": [prices()], "zespan-serverless-dev": scripts()}
    return {FILES[name]: json.dumps(bill(name, parts), indent=2) + "\n" for name, parts in inside.items()}


def bill(name: str, parts: list[dict[str, Any]]) -> dict[str, Any]:
    """Describe one distribution. It has no time and no number of its own, so that it can be made again."""
    whole = component("library", "pypi", name, __version__, "Apache-2.0")
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": whole},
        "components": parts,
        "dependencies": [{"ref": whole["bom-ref"], "dependsOn": [part["bom-ref"] for part in parts]}],
    }


def component(kind: str, ecosystem: str, name: str, version: str, license_id: str) -> dict[str, Any]:
    """Describe one package of PyPI or npm."""
    purl = f"pkg:{ecosystem}/{name.replace('@', '%40')}@{version}"
    return {
        "type": kind,
        "bom-ref": purl,
        "name": name,
        "version": version,
        "licenses": [{"license": {"id": license_id}}],
        "purl": purl,
    }


def prices() -> dict[str, Any]:
    """Describe where the table of prices is from, as its first line says."""
    found = re.search(r"genai-prices (\S+) on", PRICES.read_text())
    assert found, f"{PRICES} does not say of which genai-prices it is made"
    return component("data", "pypi", "genai-prices", found[1], "MIT")


def scripts() -> list[dict[str, Any]]:
    """Describe npm's packages in the page, with the hashes of their files as they are there, adapted."""
    hashes = json.loads(vendor.HASHES.read_text())
    parts = []
    for package in sorted({package for file, (package, _) in vendor.FILES.items() if file.endswith(".js")}):
        name, _, version = package.rpartition("@")
        files = [file for file, (owner, _) in vendor.FILES.items() if owner == package and file.endswith(".js")]
        part = component("library", "npm", name, version, LICENSES[name])
        part["components"] = [
            {"type": "file", "name": file, "hashes": [{"alg": "SHA-256", "content": hashes[file]}]} for file in files
        ]
        parts.append(part)
    return parts


if __name__ == "__main__":
    for path, text in made().items():
        path.write_text(text, newline="\n")
