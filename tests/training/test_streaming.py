import dataclasses
import gc
import itertools
import os
import shutil
import subprocess
import sys
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import jax
import numpy as np
import pytest

import aejax
from aejax.core import Adam, Cosine, InputError
from aejax.data import Binarise, Data, StaticBinarise, Stored, load, pack
from aejax.devices import Parallel, Program
from aejax.experiment import Experiment
from aejax.losses import Gaussian, Loss
from aejax.models import Autoencoder, MLPDecoder, MLPEncoder, Plain
from aejax.runs import Recording, Run, Saving
from aejax.sweeps import Sweep, grid, run_sweep
from aejax.training import _sources, _streaming, fit_many, loop, source_for
from aejax.training._order import WindowedOrder
from aejax.training._reading import WINDOWS, Shuffled, Windows
from aejax.training._rows import RowLog
from aejax.training._sources import ResidentSource
from aejax.training._streaming import StreamedSource, reads
from tests.helpers.small import same_bits, without_times

EXAMPLES, VALUES, BATCH = 250, 16, 8
BUFFER = _streaming._CHUNKS * 3 * BATCH * VALUES / 1e9
"""Holds chunks of three steps."""
ONE = Parallel(devices=1)
WINDOW = 2.5 * BATCH * VALUES / 1e6
"""Megabytes of two steps."""
WINDOWS_BUFFER = 1.01 * (WINDOWS * WINDOW / 1e3 + _streaming._CHUNKS * BATCH * VALUES / 1e9)
"""Holds the windows, and chunks of one step."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (EXAMPLES, 4, 4, 1), np.uint8)
    np.savez(folder / "x.npz", x=x, y=rng.integers(0, 3, EXAMPLES))
    pack(str(folder / "x.npz"), folder / "packed")
    return folder / "packed"


@pytest.fixture
def experiment(folder, monkeypatch):
    for module in (_sources, _streaming):
        monkeypatch.setattr(module, "CHUNK", 7)  # several batches of validation, the last one ragged
    model = Autoencoder(MLPEncoder(), Plain(3, "tanh"), MLPDecoder())
    data = Data(str(folder), preprocess=Binarise())
    return Experiment(model, Loss(), data, Adam(1e-2, Cosine()), batch_size=BATCH, epochs=3, name="tiny")


def shuffled(train, layout, seed, length, first, last):
    steps = len(train) // BATCH
    return reads(Shuffled(train, layout, seed, BATCH), layout, (steps, steps, length), first, last)


def streamed(experiment, buffer=BUFFER):
    dataset = load(experiment.data)
    made = source_for(experiment.resolve(dataset), dataset, experiment.data.preprocess, ONE, buffer)
    assert isinstance(made, StreamedSource)
    return made


def test_a_streamed_run_is_the_run_in_memory_bit_for_bit(experiment):
    whole = aejax.fit(experiment)
    through = aejax.fit(experiment, buffer=BUFFER)
    assert same_bits(through.state, whole.state)
    assert without_times(through.history) == without_times(whole.history)
    assert {row["split"] for row in whole.history} == {"train", "validation"}


def test_data_within_the_buffer_is_held_in_memory(experiment):
    dataset = load(experiment.data)
    made = source_for(experiment.resolve(dataset), dataset, Binarise(), ONE, 1.0)
    assert isinstance(made, ResidentSource)
    assert set(made.parts) == {"train", "validation"}  # test may be larger than memory
    assert isinstance(dataset.test, Stored)


def test_from_any_step_of_an_epoch_what_is_left_of_it_follows(experiment):
    whole = streamed(experiment)
    pieces = list(whole.batches(0, whole.steps))
    assert list(map(len, pieces)) == [3] * (whole.steps // 3) + [whole.steps % 3]
    assert whole.steps % 3
    x = np.concatenate([piece.examples.x for piece in pieces])
    for start in (1, 3, 7):  # inside a chunk and at its end, asked for in parts that are no chunks
        source = streamed(experiment)
        middle = start + 4
        left = [*source.batches(start, middle), *source.batches(middle, whole.steps)]
        np.testing.assert_array_equal(np.concatenate([piece.examples.x for piece in left]), x[start:])
    inside = next(shuffled(load(experiment.data).train, ONE, 0, 3, whole.steps + 4, 2 * whole.steps)).result()
    assert inside.examples.x.shape == (2, BATCH, 4, 4, 1)  # up to where its chunk has always ended


def test_stops_inside_of_chunks_make_few_lengths_of_pieces_and_the_same_ones_from_any_of_them_on(experiment):
    """A program is compiled for each length, and a run that is resumed is to run the same ones."""
    dataset, stops = load(experiment.data), [5, 6, 10, 17, 18, 20, 25, 34]

    def lengths(start):
        source, found = StreamedSource(dataset, ONE, BATCH, 0, 50, 3e9 * BUFFER, 1.0), []  # chunks of nine steps
        for stop in stops:
            if stop > start:
                found.append([len(piece) for piece in source.batches(start, stop)])
                start = stop
        return found

    assert lengths(0) == [[4, 1], [1], [2, 1, 1], [4, 2, 1], [1], [2], [4, 1], [9]]
    for number, stop in enumerate(stops, 1):
        assert lengths(stop) == lengths(0)[number:]


def test_an_epoch_s_chunks_hold_each_example_once_with_its_label_in_the_order_of_the_run_in_memory(experiment):
    dataset = load(experiment.data)
    steps = len(dataset.train) // BATCH
    parts = [chunk.result().examples for chunk in shuffled(dataset.train, ONE, 5, 4, 0, 2 * steps)]
    x, label = (np.concatenate([np.asarray(getattr(part, name)) for part in parts]) for name in ("x", "label"))
    for epoch in range(2):
        order = aejax.core.epoch_order(jax.random.key(5), epoch * steps, len(dataset.train), BATCH)
        here = slice(epoch * steps, (epoch + 1) * steps)
        np.testing.assert_array_equal(x[here], np.asarray(dataset.train.x)[order])
        np.testing.assert_array_equal(label[here], dataset.train.label[order])


@pytest.fixture
def windowed(experiment):
    return dataclasses.replace(experiment, data=dataclasses.replace(experiment.data, window=WINDOW))


def test_windows_hold_each_example_of_an_epoch_once_and_give_the_same_batches_from_any_step(windowed):
    source = streamed(windowed, WINDOWS_BUFFER)
    steps = source.steps
    pieces = [piece.examples for piece in source.batches(0, 2 * steps)]
    x, label = (np.concatenate([getattr(piece, name) for piece in pieces]) for name in ("x", "label"))
    train = load(windowed.data).train
    row = {bytes(values): place for place, values in enumerate(np.asarray(train.x))}
    for epoch in (0, 1):
        here = slice(epoch * steps, (epoch + 1) * steps)
        places = [row[bytes(values)] for values in x[here].reshape(-1, VALUES)]
        assert len(set(places)) == steps * BATCH
        np.testing.assert_array_equal(label[here].reshape(-1), train.label[places])
    for start in (1, 3, steps + 2):
        left = streamed(windowed, WINDOWS_BUFFER).batches(start, 2 * steps)
        np.testing.assert_array_equal(np.concatenate([piece.examples.x for piece in left]), x[start:])


@pytest.mark.parametrize("before", [WINDOWS_BUFFER, 1.0])
def test_the_order_that_was_is_kept_with_another_buffer(windowed, before):
    dataset = load(windowed.data)
    given = windowed.resolve(dataset), dataset, windowed.data.preprocess, ONE
    first = source_for(*given, before)
    other = source_for(*given, 1.0 if before < 1 else WINDOWS_BUFFER, first.windowed)
    assert first.windowed is other.windowed is (before < 1)
    examples = [
        [piece.examples.x if piece.order is None else piece.examples.x[piece.order] for piece in source.batches(2, 9)]
        for source in (first, other)
    ]
    np.testing.assert_array_equal(*map(np.concatenate, examples))


@pytest.mark.slow
def test_a_run_that_is_resumed_with_a_larger_buffer_is_the_run_that_was_not_stopped(windowed, tmp_path):
    long = dataclasses.replace(windowed, optimizer=Adam(1e-2), epochs=2)
    whole = loop.train(long, load(long.data), buffer=WINDOWS_BUFFER)
    short = dataclasses.replace(long, epochs=1)
    run = loop.train(short, load(long.data), folder=tmp_path, buffer=WINDOWS_BUFFER).run
    assert same_bits(loop.train(long, load(long.data), resume=run.path).state, whole.state)


def test_windows_are_refused_for_data_in_memory(windowed, folder):
    held = dataclasses.replace(windowed, data=windowed.data.named(str(folder.parent / "x.npz")))
    dataset = load(held.data)
    with pytest.raises(InputError, match=r"shuffled in windows, .*: resume it with the packed data"):
        source_for(held.resolve(dataset), dataset, held.data.preprocess, ONE, 1.0, True)


def test_the_memory_of_a_window_is_used_again_once_all_of_its_batches_were_gathered(experiment, monkeypatch):
    train, made = load(experiment.data).train, []
    blank, gather = Stored.blank, Windows.read

    def late(self, held, steps):
        time.sleep(0 if steps.start else 0.05)  # the first chunk of a window ends after the others
        return gather(self, held, steps)

    monkeypatch.setattr(Stored, "blank", lambda *args: made.append(args) or blank(*args))
    monkeypatch.setattr(Windows, "read", late)
    reader = windows(train, ONE, 0, BATCH, 2 * WINDOW)  # of five steps
    order = reader.order
    for start, stop, read in _streaming._ahead(chunks_of(reader, 3, 2 * order.steps)):
        number, begin = start % order.steps // order.length, start % order.steps % order.length
        epoch = start // order.steps
        lanes = [order.lane(epoch, number, lane)[order.shuffled(epoch, number, lane)] for lane in range(order.lanes)]
        which = np.concatenate(lanes, axis=1)[begin : begin + stop - start]
        np.testing.assert_array_equal(read.x, np.asarray(train.x)[which])
    assert len(made) == WINDOWS


def test_what_was_read_is_not_copied_on_its_way_to_a_cpu(experiment):
    train = load(experiment.data).train
    for reader in (windows(train, ONE, 0, BATCH, WINDOW), Shuffled(train, ONE, 0, BATCH)):
        read = reader.read(next(reader.contents([0])), slice(2))
        placed = ONE.resolve(experiment).distribute(read)
        assert placed.x.unsafe_buffer_pointer() == read.x.ctypes.data


@pytest.mark.slow
def test_targets_and_narrow_types_are_streamed_as_they_are_and_trained_on(windowed, tmp_path):
    rng = np.random.default_rng(0)
    x, y = (rng.normal(size=(EXAMPLES, VALUES)).astype(np.float16) for _ in range(2))
    pack([{"x": x, "y": y}], tmp_path / "packed")
    data = Data(str(tmp_path / "packed"), window=4 * WINDOW)  # for values of two bytes, and as many targets
    experiment = dataclasses.replace(windowed, data=data, loss=Loss(Gaussian()))
    dataset = load(data)
    source = source_for(experiment.resolve(dataset), dataset, data.preprocess, ONE, 4 * WINDOWS_BUFFER)
    batch = next(iter(source.batches(0, 1))).examples
    assert batch.x.dtype == batch.y.dtype == np.float16
    target = {bytes(values): wanted for values, wanted in zip(x, y, strict=True)}
    for values, wanted in zip(np.asarray(batch.x)[0], np.asarray(batch.y)[0], strict=True):
        np.testing.assert_array_equal(wanted, target[bytes(values)])
    rows = [row["loss_nats"] for row in aejax.fit(experiment, buffer=4 * WINDOWS_BUFFER).history]
    assert rows[-1] < rows[0]


def note_calls(monkeypatch, name, part, note):
    """Calls `note` with the arguments of a method of `part`; another reader may still read another part."""
    method = getattr(Stored, name)
    monkeypatch.setattr(Stored, name, lambda self, *args: (self is part and note(args)) or method(self, *args))


def test_a_lane_of_the_next_window_is_on_its_way_before_the_last_of_a_window_is_read(experiment, monkeypatch):
    train, events = load(experiment.data).train, []
    note_calls(monkeypatch, "read_into", train, lambda _: events.append("read"))
    submit = ThreadPoolExecutor.submit
    monkeypatch.setattr(ThreadPoolExecutor, "submit", lambda *args: events.append("asked") or submit(*args))
    reader = windows(train, ONE, 0, BATCH, WINDOW)
    list(reader.contents([reader.order.length * number for number in range(4)]))
    lanes = 4 * reader.order.lanes
    assert events == ["asked", *["asked", "read"] * (lanes - 1), "read"]


@pytest.mark.parametrize(("window", "buffer"), [(256.0, BUFFER), (WINDOW, WINDOWS_BUFFER)])
def test_the_memory_and_the_threads_of_a_source_that_is_dropped_go_at_once(experiment, window, buffer):
    chosen = dataclasses.replace(experiment, data=dataclasses.replace(experiment.data, window=window))
    before = set(threading.enumerate())
    source = streamed(chosen, buffer)
    next(source.batches(0, 2))
    left = weakref.ref(source)
    threads = set(threading.enumerate()) - before
    assert any(thread.name.startswith("aejax") for thread in threads)
    gc.disable()  # it would find a cycle, but maybe much later
    try:
        del source
        for thread in threads:
            thread.join(10)
        assert left() is None
    finally:
        gc.enable()
    assert not any(thread.is_alive() for thread in threads)


class Device(NamedTuple):
    process_index: int


def on_two_hosts(monkeypatch, tensor):
    groups = np.empty((4 // tensor, tensor), object)
    groups.reshape(-1)[:] = [Device(0), Device(0), Device(1), Device(1)]
    monkeypatch.setattr(Parallel, "mesh", SimpleNamespace(devices=groups))


def windows(train, layout, seed, batch_size, window):
    return Windows(train, layout, WindowedOrder.of(len(train), VALUES, batch_size, window, seed))


def chunks_of(reader, length, last):
    return reads(reader, reader.parallel, (reader.order.steps, reader.order.length, length), 0, last)


@pytest.mark.parametrize("window", [None, WINDOW])
@pytest.mark.parametrize("tensor", [1, 2, 4])
def test_hosts_share_every_batch_unless_they_hold_layers_together(experiment, monkeypatch, tensor, window):
    train = load(experiment.data).train
    many = Parallel(devices=4, tensor=tensor)
    steps = len(train) // BATCH

    def chunk(layout):
        if window is None:
            chunks = shuffled(train, layout, 0, 4, 0, steps)
        else:
            chunks = chunks_of(windows(train, layout, 0, BATCH, window), 4, steps)
        return [chunk.result().examples for chunk in itertools.islice(chunks, 2)][1]

    whole = np.asarray(chunk(ONE).x)
    on_two_hosts(monkeypatch, tensor)
    monkeypatch.setattr(Parallel, "distribute", lambda parallel, batches: batches)
    shares = []
    for host in range(2):
        monkeypatch.setattr(jax, "process_index", lambda host=host: host)
        shares.append(chunk(many).x)
    if tensor == 4:
        np.testing.assert_array_equal(shares, [whole, whole])
    else:
        np.testing.assert_array_equal(np.concatenate(shares, axis=1), whole)


def test_a_host_reads_no_examples_but_those_of_its_lanes(experiment, monkeypatch):
    train, read = load(experiment.data).train, []
    note_calls(monkeypatch, "read_into", train, lambda args: read.append(args[1][0].rows))
    on_two_hosts(monkeypatch, 1)
    shares = []
    for host in range(2):
        monkeypatch.setattr(jax, "process_index", lambda host=host: host)
        read.clear()
        reader = windows(train, Parallel(devices=4), 0, BATCH, WINDOW)
        held = next(reader.contents([reader.order.length]))
        shares.append(np.concatenate(read))
        assert len(shares[-1]) == held.order.size
    assert len(shares[0]) == len(shares[1])
    assert not set(shares[0]) & set(shares[1])


@pytest.mark.slow
def test_an_epoch_is_read_as_soon_as_the_next_one_has_begun(experiment, monkeypatch):
    events = []
    dispatch, rows = Program.train, RowLog.rows
    monkeypatch.setattr(Program, "train", lambda *args: events.append("chunk") or dispatch(*args))
    monkeypatch.setattr(RowLog, "rows", lambda *args: events.append("rows") or rows(*args))
    aejax.fit(dataclasses.replace(experiment, epochs=2), buffer=BUFFER)
    assert events == ["chunk"] * 10 + ["rows"] + ["chunk"] * 8 + ["rows"]


def test_what_comes_next_is_read_before_it_is_asked_for_but_not_much_more():
    begun, pool = [], ThreadPoolExecutor(1)
    items = _streaming._ahead(begun.append(number) or pool.submit(int, number) for number in range(100))
    assert next(items) == 0
    assert begun == list(range(1 + _streaming._READ))
    assert list(items) == list(range(1, 100))


@pytest.mark.slow
def test_members_of_a_population_train_on_one_read_of_the_data_as_each_would_alone(experiment, monkeypatch):
    members = [dataclasses.replace(experiment, optimizer=Adam(rate, Cosine())) for rate in (1e-2, 3e-3, 1e-3)]
    monkeypatch.setattr("aejax.devices.lanes", lambda: 1)
    made = []
    read = Shuffled.read
    monkeypatch.setattr(Shuffled, "read", lambda *args: made.append(args) or read(*args))
    outcomes = fit_many(members, buffer=BUFFER)
    assert len(made) == 3 * -(-(len(load(experiment.data).train) // BATCH) // 3)
    for member, outcome in zip(members, outcomes, strict=True):
        alone = aejax.fit(member)
        assert [row["split"] for row in outcome.trained.history] == [row["split"] for row in alone.history]
        losses = [[row["loss_nats"] for row in each.history] for each in (outcome.trained, alone)]
        np.testing.assert_allclose(*losses, rtol=2e-5)


@pytest.mark.slow
def test_a_sweep_trains_on_packed_data_and_on_streamed_ones(experiment, tmp_path):
    for buffer in (1.0, BUFFER):
        sweep = Sweep.create(tmp_path / str(buffer), grid(experiment, {"optimizer.learning_rate": [1e-2, 1e-3]}))
        run_sweep(sweep, buffer=buffer)
        losses = [result.metrics["test"]["loss_nats"] for result in sweep.results().values()]
        assert len(losses) == 2
        assert np.isfinite(losses).all()


@pytest.mark.slow
def test_the_time_that_input_is_waited_for_is_told(experiment, monkeypatch):
    deal = Parallel.distribute
    monkeypatch.setattr(Parallel, "distribute", lambda *args: time.sleep(0.02) or deal(*args))
    with Recording() as recorded:
        aejax.fit(dataclasses.replace(experiment, epochs=1), buffer=BUFFER)
    assert recorded.summary(1)["input_wait_seconds"] > 0.05


def test_an_error_of_a_reading_thread_is_the_one_that_is_raised(experiment, folder, tmp_path):
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in folder.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    data = dataclasses.replace(experiment.data, name=str(copy))
    dataset = load(data)
    (copy / "train-00000-x.npy").write_bytes(b"")
    with pytest.raises(InputError, match="has become shorter"):
        aejax.fit(dataclasses.replace(experiment, data=data), dataset=dataset, buffer=BUFFER)


@pytest.mark.slow
def test_the_loss_on_a_test_part_larger_than_the_buffer_is_that_of_all_of_it(experiment, tmp_path):
    rng = np.random.default_rng(1)
    for part, size in (("train", 250), ("test", 300)):
        pack([rng.integers(0, 256, (size, 4, 4, 1), np.uint8)], tmp_path / "packed", part=part)
    data = dataclasses.replace(experiment.data, name=str(tmp_path / "packed"))
    experiment = dataclasses.replace(experiment, data=data, epochs=1)
    model = aejax.fit(experiment, folder=tmp_path / "runs", buffer=BUFFER, figures=False)
    result = model.run.result()
    assert result["examples"] == 1e9 * BUFFER / VALUES < 300
    assert result["test"]["loss_nats"] == model.evaluate(load(data).test.read())["loss_nats"]


def written_again(file):
    """Writes a file's content over itself, at no moment shorter than it was: it is read ahead meanwhile."""
    with file.open("r+b") as opened:
        opened.write(file.read_bytes())


FAULTS = {
    "vanishes": (lambda file: file.unlink(), "cannot be read any more"),
    "shrinks": (lambda file: file.write_bytes(file.read_bytes()[:-1]), "has become shorter while it was read"),
    "changes": (written_again, "has changed while it was read"),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", FAULTS)
@pytest.mark.parametrize("window", [256, WINDOW])
def test_a_file_that_fails_while_it_is_trained_on_is_said_and_the_last_checkpoint_is_whole(
    experiment, folder, tmp_path, monkeypatch, kind, window
):
    copy = shutil.copytree(folder, tmp_path / "copy")
    file, (fail, said) = copy / "train-00000-x.npy", FAULTS[kind]
    content, log = file.read_bytes(), Run.log
    data = dataclasses.replace(experiment.data, name=str(copy), window=window)
    experiment = dataclasses.replace(experiment, data=data, epochs=5)
    buffer = BUFFER if window == 256 else WINDOWS_BUFFER
    saving = Saving(save_epochs=1)

    def logged(run, rows):
        log(run, rows)
        if {row["epoch"] for row in rows} == {2}:
            fail(file)

    with monkeypatch.context() as patch:
        patch.setattr(Run, "log", logged)
        with pytest.raises(InputError, match=said) as caught:
            aejax.fit(experiment, folder=tmp_path / "runs", buffer=buffer, saving=saving, figures=False)
    assert "\n" not in str(caught.value)
    (path,) = (tmp_path / "runs" / "tiny").iterdir()
    assert int(aejax.load(path).state.step) >= 2 * Run(path).steps_per_epoch
    file.write_bytes(content)
    resumed = aejax.fit(experiment, resume=path, buffer=buffer, saving=saving, figures=False)
    assert same_bits(resumed.state, aejax.fit(experiment, buffer=buffer).state)


def test_what_cannot_be_streamed_is_refused(experiment):
    data = dataclasses.replace(experiment.data, preprocess=StaticBinarise())
    with pytest.raises(InputError, match="StaticBinarise draws a whole part at once"):
        aejax.fit(dataclasses.replace(experiment, data=data), buffer=BUFFER)
    with pytest.raises(InputError, match="needs 8 batches"):
        aejax.fit(experiment, buffer=BUFFER / 4)
    for window, why in ((0.0, "above 0"), (2 * WINDOW, "beside 2 windows")):
        data = dataclasses.replace(experiment.data, window=window)
        with pytest.raises(InputError, match=why):
            aejax.fit(dataclasses.replace(experiment, data=data), buffer=WINDOWS_BUFFER)


SCRIPTS = Path(__file__).parents[2] / "scripts"
TRAINS = """
import sys
import aejax
from aejax.data import Data, load
from aejax.models import Autoencoder, MLPDecoder, MLPEncoder, Plain
from aejax.losses import Loss

model = Autoencoder(MLPEncoder(), Plain(2), MLPDecoder())
data = Data(sys.argv[1], window=0.8, validation=0.4)  # of which validation is larger than the buffer too
aejax.fit(aejax.Experiment(model, Loss(), data, epochs=1, batch_size=64), buffer=2.4e-3)
sys.path.append(sys.argv[2])
import contest
print(contest.peak_megabytes())
"""


def peak_megabytes(folder, megabytes):
    packed = folder / f"packed{megabytes}"
    draw = np.random.default_rng(0)
    pack((draw.integers(0, 256, (1000, 1000), np.uint8) for _ in range(megabytes)), packed)
    command = [sys.executable, "-c", TRAINS, packed, SCRIPTS]
    # On one device, as each holds batches of its own; and what is freed goes back at once: else the count says how
    # busy the machine was, by up to 40 MB.
    allocator = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "65536"}
    environment = os.environ | {"XLA_FLAGS": ""} | allocator
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=200)
    assert done.returncode == 0, done.stderr
    return float(done.stdout)


@pytest.mark.slow
def test_memory_stays_flat_over_data_a_hundred_times_larger_than_the_buffer(tmp_path):
    small, large = (peak_megabytes(tmp_path, megabytes) for megabytes in (12, 240))
    assert large - small < 30  # MB, of the 228 MB that it is larger
