"""Runs programs in node, as a page would."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import aejax.explore
from aejax.explore._packing import pack
from aejax.explore._program import write
from aejax.explore._writer import Arrays, plain

INTERPRETER = Path(aejax.explore.__file__).parent / "interpreter.js"

needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")

_SCRIPT = """
const { load, unpack } = require(process.argv[1]);
let text = "";
process.stdin.on("data", part => { text += part; }).on("end", async () => {
  const { blob, kinds, programs, calls } = JSON.parse(text);
  const arrays = await unpack(blob, kinds);
  const loaded = programs.map(program => load(program, arrays));
  const shown = x => Array.from(x, value => Number.isFinite(value) ? value : String(value));
  const results = calls.map(([program, inputs]) =>
    loaded[program](...inputs.map(x => x.map(Number))).map(shown));
  process.stdout.write(JSON.stringify(results));
});
"""


def run(programs, calls, arrays):
    """Returns what each call gives: `calls` are pairs of a program's number and its inputs."""
    blob, kinds = pack(arrays.items)
    given = [(number, [[plain(x) for x in np.ravel(each).tolist()] for each in inputs]) for number, inputs in calls]
    text = json.dumps({"blob": blob, "kinds": kinds, "programs": programs, "calls": given})
    done = subprocess.run(
        ["node", "-e", _SCRIPT, str(INTERPRETER)], input=text, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stderr
    return [[np.asarray(out, np.float64) for out in outs] for outs in json.loads(done.stdout)]


def results(cases):
    """Returns what node gives for each `(function, inputs)`, all in one process."""
    arrays, programs = Arrays(half=False), []
    for function, inputs in cases:
        programs.append(write("case", lambda _, *given, f=function: f(*given), arrays, (), *inputs))
    return run(programs, [(number, inputs) for number, (_, inputs) in enumerate(cases)], arrays)
