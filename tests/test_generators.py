"""Every test draws from a generator of its own: its numbers are the same whichever other tests run before it."""

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parent


def drawing(source):
    """The functions of a module that draw from a generator of the module, by themselves or by another of them."""
    tree = ast.parse(source)
    made = [node for node in tree.body if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call)]
    shared = {ast.unparse(node.targets[0]) for node in made if ast.unparse(node.value.func) == "np.random.default_rng"}
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    found = set()
    while more := {each.name for each in functions if used(each) & (shared | found)} - found:
        found |= more
    return found


def used(function):
    """The names that a function takes from its module."""
    names = [node for part in function.body for node in ast.walk(part) if isinstance(node, ast.Name)]
    own = {each.arg for each in function.args.args} | {each.id for each in names if isinstance(each.ctx, ast.Store)}
    return {each.id for each in names} - own


def test_no_test_and_no_fixture_draws_from_a_generator_that_it_shares():
    for path in sorted(TESTS.rglob("*.py")):
        names = drawing(path.read_text())
        tree = ast.parse(path.read_text())
        fixtures = {each.name for each in tree.body if isinstance(each, ast.FunctionDef) and each.decorator_list}
        assert not {name for name in names if name.startswith("test_") or name in fixtures}, path


@pytest.mark.parametrize("body", ["RNG.normal()", "draw()"])
def test_such_a_test_is_found(body):
    source = f"RNG = np.random.default_rng(0)\ndef draw():\n    RNG.random()\ndef test_it():\n    {body}\n"
    assert drawing(source) == {"draw", "test_it"}
    assert drawing(source.replace("RNG.", "rng.").replace("def draw()", "def draw(rng)")) == set()
