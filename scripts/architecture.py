"""Draws the packages of aejax and the direction of their imports, read from the source: docs/architecture.svg.

python scripts/architecture.py          draws it anew
python scripts/architecture.py --check  exits with 1 where the drawing is not what the source says
"""

import ast
import html
import sys
import textwrap
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
DRAWING = ROOT / "docs" / "architecture.svg"
WIDTH, ROW, BOX, HEIGHT = 1260, 90, 400, 60
"""Width of the picture, distance from row to row, and width and height of a package's box, in pixels."""


def layers() -> list[list[str]]:
    """Returns the packages of each layer, the highest layer first, from the contract of imports in pyproject.toml."""
    contract = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0]
    return [[name.strip() for name in layer.split("|")] for layer in contract["layers"]]


def arrows(packages: list[str]) -> set[tuple[str, str]]:
    """Returns the pairs of packages of which the first imports the second, as the source says."""
    found = set()
    for package in packages:
        for path in (ROOT / "aejax" / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "aejax":
                    parts = node.module.split(".")[1:2] or [alias.name for alias in node.names]
                    for other in parts:
                        if other in packages and other != package:
                            found.add((package, other))
    return found


def charter(package: str) -> str:
    """Returns the first line of a package's docstring, without its full stop."""
    docstring = ast.get_docstring(ast.parse((ROOT / "aejax" / package / "__init__.py").read_text())) or ""
    return docstring.splitlines()[0].rstrip(".")


def reduced(pairs: set[tuple[str, str]]) -> list[tuple[str, str]]:
    """Returns, sorted, the arrows that no others imply: those beside which no other path leads to the same package."""
    reach: dict[str, set[str]] = {}

    def below(package: str) -> set[str]:
        if package not in reach:
            own = [other for name, other in pairs if name == package]
            reach[package] = set(own).union(*map(below, own))
        return reach[package]

    return sorted(
        (package, other)
        for package, other in pairs
        if not any(other in below(between) for name, between in pairs if name == package)
    )


def drawing() -> str:
    """Draws the picture as SVG: a row for each layer, a box for each package, the arrows that no others imply."""
    rows = layers()
    center = {
        name: (WIDTH * (2 * place + 1) / (2 * len(row)), ROW * number + 49)
        for number, row in enumerate(rows)
        for place, name in enumerate(row)
    }
    height = ROW * (len(rows) - 1) + 98
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto" '
        'markerUnits="userSpaceOnUse"><path d="M0 0L8 4L0 8z" fill="#6b7688"/></marker></defs>',
    ]
    for package, other in reduced(arrows(list(center))):
        (x, y), (to_x, to_y) = center[package], center[other]
        # In one column the arrow is straight. To another column it leaves and arrives nearer to that side; past a
        # row between the two it ends at the corner of the box, so that it runs between the boxes of that row.
        side = (to_x > x) - (to_x < x)
        leave, arrive = (0.22, 0.22) if to_y - y <= ROW else (0.0, 0.49)
        start = (x + side * leave * BOX, y + HEIGHT / 2)
        end = (to_x - side * arrive * BOX, to_y - HEIGHT / 2 - 1)
        lines.append(
            f'<path d="M{start[0]:.0f} {start[1]:.0f}L{end[0]:.0f} {end[1]:.0f}" fill="none" stroke="#6b7688" '
            f'stroke-width="1.4" marker-end="url(#head)"/>'
        )
    for name, (x, y) in center.items():
        lines.append(
            f'<rect x="{x - BOX / 2:.0f}" y="{y - HEIGHT / 2:.0f}" width="{BOX}" height="{HEIGHT}" rx="7" '
            f'fill="#eef3fb" stroke="#3b6fb6"/><text x="{x:.0f}" y="{y - 12:.0f}" text-anchor="middle" font-size="15" '
            f'font-weight="bold">{name}</text>'
        )
        lines += [
            f'<text x="{x:.0f}" y="{y + 14 * line - 8:.0f}" text-anchor="middle" font-size="11" fill="#444">'
            f"{html.escape(words)}</text>"
            for line, words in enumerate(textwrap.wrap(charter(name), 70, break_on_hyphens=False), 1)
        ]
    return "\n".join([*lines, "</svg>"]) + "\n"


def main() -> None:
    """Writes the drawing, or with --check exits with 1 where it is not what the source says."""
    if "--check" in sys.argv[1:]:
        sys.exit(
            0 if DRAWING.read_text() == drawing() else "docs/architecture.svg is old: python scripts/architecture.py"
        )
    DRAWING.write_text(drawing())
    print(DRAWING.relative_to(ROOT))


if __name__ == "__main__":
    main()
