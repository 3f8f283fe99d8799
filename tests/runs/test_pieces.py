import itertools
import shutil

import jax
import numpy as np
import pytest

from aejax.core import InputError
from aejax.runs import read_arrays, write_arrays
from aejax.runs.checkpoints import Checkpoints
from aejax.runs.pieces import join_pieces

KERNEL = np.arange(6 * 8, dtype=np.float32).reshape(6, 8)
LIKE = {"state": {"bias": np.ones(3, np.int32), "kernel": KERNEL}}


def write(folder, step, cuts, axis=1):
    """Writes a checkpoint as so many processes would, each with what lies between two cuts."""
    folder.mkdir(exist_ok=True)
    pairs = list(itertools.pairwise([0, *cuts, KERNEL.shape[axis]]))
    for process, (start, stop) in enumerate(pairs):
        piece = {f"state.kernel[{axis}:{start}]": KERNEL.take(range(start, stop), axis)}
        whole = {"state.bias": np.ones(3, np.int32)} if process == 0 else {}
        write_arrays(folder / f"{step}.{process}-of-{len(pairs)}.safetensors", piece | whole)
    return Checkpoints(folder)


@pytest.mark.parametrize(("axis", "cuts"), [(0, [2]), (1, [2, 3, 7]), (1, [4]), (0, [1, 2, 3, 4, 5])])
def test_pieces_make_the_array_again_at_any_index(tmp_path, axis, cuts):
    checkpoints = write(tmp_path, 5, cuts, axis)
    joined = join_pieces(tmp_path.iterdir())["state.kernel"]
    assert (joined.shape, joined.dtype) == (KERNEL.shape, KERNEL.dtype)
    sides = [[slice(start, stop) for start in range(size) for stop in range(start + 1, size + 1)] for size in (6, 8)]
    for index in itertools.product(*sides):
        np.testing.assert_array_equal(joined[index], KERNEL[index])
    np.testing.assert_array_equal(joined[(slice(None),) * 2], KERNEL)
    restored = checkpoints.restore([5], LIKE)
    jax.tree.map(np.testing.assert_array_equal, restored, LIKE)


def test_a_checkpoint_is_there_once_all_of_its_files_are_and_goes_with_all_of_them(tmp_path):
    checkpoints = write(tmp_path, 10, [4])
    write(tmp_path, 20, [4])
    write(tmp_path, 30, [2, 4])
    (tmp_path / "20.0-of-2.safetensors").unlink()
    (tmp_path / "30.2-of-3.safetensors").rename(tmp_path / "40.1-of-2.safetensors")
    assert checkpoints.steps() == [10]
    checkpoints.save(50, LIKE, keep=1, best=None)
    checkpoints.wait()
    assert checkpoints.steps() == [50]
    assert not list(tmp_path.glob("10.*"))
    checkpoints.clean(60)
    assert [path.name for path in tmp_path.iterdir()] == ["50.safetensors"]


def lose(path):
    path.unlink()


def cut(path):
    path.write_bytes(path.read_bytes()[:-1])


def empty(path):
    path.write_bytes(b"")


def move(path):
    write_arrays(path, {"state.kernel[1:5]": read_arrays(path)[0]["state.kernel[1:4]"]})


def name_wrongly(path):
    write_arrays(path, {"state.kernel[1:x]": read_arrays(path)[0]["state.kernel[1:4]"]})


def widen(path):
    write_arrays(path, {"state.kernel[1:4]": np.zeros((7, 4), np.float32)})


@pytest.mark.parametrize("harm", [lose, cut, empty, move, name_wrongly, widen])
def test_pieces_that_do_not_fit_together_are_passed_over(tmp_path, caplog, harm):
    checkpoints = write(tmp_path, 5, [2])
    write(tmp_path, 10, [4])
    harm(tmp_path / "10.1-of-2.safetensors")
    restored = checkpoints.restore(checkpoints.steps()[::-1], LIKE)
    jax.tree.map(np.testing.assert_array_equal, restored, LIKE)
    assert len(caplog.records) == (harm is not lose)
    shutil.rmtree(tmp_path)
    with pytest.raises(InputError, match="no checkpoint that can be loaded"):
        checkpoints.restore([], LIKE)
