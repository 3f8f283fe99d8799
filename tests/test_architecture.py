"""The packages' faces, their direction, and that nobody looks behind a face."""

import ast
import importlib
import importlib.util
import pkgutil
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import aejax

ROOT = Path(__file__).parents[1]
PACKAGES = sorted(path.parent.name for path in (ROOT / "aejax").glob("*/__init__.py"))


def sources(folder):
    return [path for path in sorted((ROOT / folder).rglob("*.py")) if "__pycache__" not in path.parts]


def imports(path):
    """Every import of aejax in a file: (module, name)."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "aejax":
            yield from ((node.module, alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (tuple(alias.name.rsplit(".", 1)) for alias in node.names if alias.name.startswith("aejax."))


def is_module(name):
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def is_public(module, name):
    """Whether a neighbour may import it: a name of a package's face, or a module that is not private."""
    if any(part.startswith("_") for part in [*module.split("."), name]):
        return False
    exported = getattr(importlib.import_module(module), "__all__", [])
    return name in exported or is_module(f"{module}.{name}") or module.count(".") >= 2


@pytest.mark.parametrize("package", PACKAGES)
def test_a_face_exports_what_is_there_and_no_module_bears_the_name_of_an_export(package):
    """A module of that name would take the export's place once it is imported."""
    face = importlib.import_module(f"aejax.{package}")
    assert face.__doc__
    assert len(set(face.__all__)) == len(face.__all__) > 0
    assert set(face.__all__) <= set(dir(face))
    for name in face.__all__:
        assert not name.startswith("_")
        assert getattr(face, name) is not None
        assert not is_module(f"aejax.{package}.{name}")


@pytest.mark.parametrize("package", PACKAGES)
def test_neighbours_are_entered_by_their_faces(package):
    for path in sources(f"aejax/{package}"):
        for module, name in imports(path):
            other = module.split(".")[1] if "." in module else name
            assert other in PACKAGES, f"{path.name}: {other} of aejax itself, whose package the contract does not see"
            assert other == package or is_public(module, name), f"{path.name}: from {module} import {name}"


@pytest.mark.parametrize("folder", ["experiments", "scripts"])
def test_scripts_import_public_names_alone(folder):
    for path in sources(folder):
        for module, name in imports(path):
            assert is_public(module, name), f"{path.name}: from {module} import {name}"


def test_the_face_of_aejax_is_what_dir_says():
    assert {"fit", "load", "get", "names", "register", "Experiment"} <= set(aejax.__all__) <= set(dir(aejax))
    for name in aejax.__all__:
        assert getattr(aejax, name) is not None


def test_the_root_is_a_table_of_contents():
    modules = {module.name for module in pkgutil.iter_modules(aejax.__path__)}
    assert modules == {*PACKAGES, "__main__"}
    assert len(PACKAGES) == 16


def test_listing_imports_nothing_heavy():
    program = "import sys, aejax.cli; sys.argv = ['aejax', 'list']; aejax.cli.main(); print([*sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(ast.literal_eval(done.stdout.splitlines()[-1]))
    assert not loaded & {"jax", "jaxlib", "flax", "optax", "numpy", "matplotlib", "scipy", "sklearn"}


@pytest.mark.parametrize("allowed", [True, False])
def test_the_contract_of_imports_holds_and_fails_where_it_is_broken(allowed, tmp_path):
    pytest.importorskip("importlinter")
    shutil.copytree(ROOT / "aejax", tmp_path / "aejax", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    if not allowed:
        with (tmp_path / "aejax" / "core" / "keys.py").open("a") as file:
            file.write("\nfrom aejax.data import Data  # noqa\n")
    program = "from importlinter.cli import lint_imports; raise SystemExit(lint_imports(no_cache=True))"
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode == 0) is allowed, done.stdout + done.stderr


def test_the_drawing_is_what_the_source_says():
    subprocess.run([sys.executable, ROOT / "scripts" / "architecture.py", "--check"], check=True)


def classes(package):
    """Every class that a package defines, by name: the file."""
    trees = {path: ast.parse(path.read_text()) for path in sources(f"aejax/{package}")}
    return {
        node.name: path for path, tree in trees.items() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)
    }


def test_nobody_asks_for_a_class_of_a_model_or_a_loss():
    """Parts say what they have (`aejax/models/traits.py`); only the module that defines a class may ask for it."""
    defined = classes("models") | classes("losses")
    for path in sources("aejax"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("isinstance", "issubclass"):
                names = {getattr(part, "attr", getattr(part, "id", "")) for part in ast.walk(node.args[1])}
                asked = {name for name in names if defined.get(name, path) != path}
                assert not asked, f"{path}:{node.lineno} asks whether something is one of {asked}"


def test_the_names_that_linen_gives_are_known_where_the_layers_are():
    """A layer's place in the parameters is asked of its module: `Autoencoder.up` and `down`."""
    generated = re.compile(rf"^({'|'.join(classes('models'))}|Dense|Conv|BatchNorm|LayerNorm)_\d*$")
    for path in sources("aejax"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and generated.match(node.value):
                assert path.parent.name == "models", f"{path}:{node.lineno} spells out {node.value!r}"
            if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Subscript):
                keys = [getattr(key, "value", None) for key in (node.value.slice, node.slice)]
                known = keys[0] in ("encoder", "latent", "decoder") and isinstance(keys[1], str)
                assert not known, f"{path}:{node.lineno} spells out {keys}"


def test_the_pages_of_the_reference_are_what_the_packages_export():
    command = [sys.executable, ROOT / "scripts" / "reference.py", "--check"]
    assert subprocess.run(command, capture_output=True, text=True).stderr == ""
    pages = {path.stem for path in (ROOT / "docs" / "reference").glob("*.md")}
    assert pages == set(PACKAGES) - {"cli"}
