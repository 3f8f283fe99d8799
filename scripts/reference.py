"""Writes the pages under docs/reference/ from what the packages export.

python scripts/reference.py           rewrites them
python scripts/reference.py --check   exits with 1 where one is not what its package exports
"""

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = ROOT / "docs" / "reference"
PACKAGES = (
    "training", "trained", "experiment", "data", "models", "losses", "core", "metrics", "evaluation", "sweeps",
    "devices", "runs", "tracking", "estimators", "explore",
)  # fmt: skip
ENTRY = """::: {path}
    options:
      heading: {name}
"""


def exported(package: str) -> dict[str, str]:
    """Returns the classes and functions that a package exports: by what a user imports, the path to what defines it."""
    folder, found = ROOT / "aejax" / package, {}
    for node in ast.parse((folder / "__init__.pyi").read_text()).body:
        if isinstance(node, ast.ImportFrom) and node.module:
            tree = ast.parse((folder / f"{node.module.replace('.', '/')}.py").read_text())
            defined = {n.name for n in tree.body if isinstance(n, ast.ClassDef | ast.FunctionDef)}
            for name in (name.name for name in node.names):
                if name in defined:
                    found[f"aejax.{package}.{name}"] = f"aejax.{package}.{node.module}.{name}"
    return found


def page(package: str) -> str:
    """Returns the page of a package: what it is for, and a directive for each name, which mkdocstrings fills in."""
    said = ast.get_docstring(ast.parse((ROOT / "aejax" / package / "__init__.py").read_text())) or ""
    entries = (ENTRY.format(path=path, name=name) for name, path in exported(package).items())
    return "\n".join([f"# aejax.{package}\n\n{said}\n", *entries])


def main() -> None:
    """Rewrites the pages, or with --check exits with 1 where one is not what its package exports."""
    for package in PACKAGES:
        path = PAGES / f"{package}.md"
        if sys.argv[1:] != ["--check"]:
            PAGES.mkdir(exist_ok=True)
            path.write_text(page(package))
        elif path.read_text() != page(package):
            sys.exit(f"{path.relative_to(ROOT)} is not what the package exports: run scripts/reference.py")


if __name__ == "__main__":
    main()
