import dataclasses

import jax
import numpy as np
import pytest

import aejax
from aejax.cli._experiments import ProbeCommand
from aejax.core import Adam, Examples, InputError
from aejax.data import Data, Dataset, StaticBinarise, load
from aejax.evaluation import compare, fine_tune, probes
from aejax.evaluation.probes import SquaredHinge, probe
from aejax.losses import Gaussian, Loss, Masking
from aejax.models import MLPEncoder
from aejax.trained import Mixture


def blobs(n, seed, spread=0.3):
    """Three well-separated classes in four dimensions, named 2, 5 and 9."""
    rng = np.random.default_rng(seed)
    centres = np.array([[4, 0, 0, 0], [0, 4, 0, 0], [0, 0, 4, 4]], np.float32)
    kind = rng.integers(0, 3, n)
    return (centres[kind] + rng.normal(0, spread, (n, 4))).astype(np.float32), np.array([2, 5, 9], np.int32)[kind]


@pytest.mark.parametrize("kind", ["logistic", "svm", "knn", "kmeans"])
def test_separated_classes_are_told_apart_whatever_they_are_called(kind):
    assert probe(kind, *blobs(200, 0), *blobs(100, 1))["accuracy"] == 1.0


@pytest.mark.parametrize("kind", ["logistic", "svm", "knn", "kmeans"])
def test_labels_that_the_codes_say_nothing_of_are_guessed(kind):
    codes, labels = blobs(600, 0)
    test, test_labels = blobs(600, 1)
    shuffled, other = (np.random.default_rng(2).permutation(x) for x in (labels, test_labels))
    assert probe(kind, codes, shuffled, test, other)["accuracy"] < 0.45


@pytest.fixture
def in_order(tiny, tmp_path):
    """A run on three classes, one after the other, in the file of its data."""
    x, y = blobs(900, 0)
    order, (test, test_labels) = np.argsort(y, kind="stable"), blobs(60, 1)
    np.savez(tmp_path / "d.npz", x_train=x[order], y_train=y[order], x_test=test, y_test=test_labels)
    experiment = dataclasses.replace(
        tiny.experiment, loss=Loss(Gaussian()), data=Data(str(tmp_path / "d.npz"), validation=0.0), epochs=20
    )
    return aejax.fit(experiment, folder=tmp_path / "runs", figures=False)


@pytest.mark.slow
def test_the_examples_of_a_probe_are_from_all_of_the_data(in_order, capsys):
    """The first 90 of 900 have one class."""
    ProbeCommand(in_order.run.path, ("knn",), most=90)()
    rows = [line.split("│") for line in capsys.readouterr().out.splitlines() if "│" in line]
    assert float(next(row[2] for row in rows if row[1].strip() == "raw values")) == 1.0
    dataset = load(in_order.experiment.data)
    single = dataclasses.replace(dataset, train=dataset.train.take(np.arange(20)))
    with pytest.raises(InputError, match=r"all 20 training examples of .* have one label: a probe needs two classes"):
        compare(in_order, single, ("knn",))
    with pytest.raises(InputError, match="--most is 1: a probe needs at least 2 examples"):
        ProbeCommand(in_order.run.path, most=1)()


@pytest.mark.slow
def test_the_codes_of_a_posterior_are_from_all_of_the_data(in_order, monkeypatch):
    monkeypatch.setattr(Mixture, "most", 90)
    train = load(in_order.experiment.data).train
    drawn = in_order.draw_codes(600, like=train)
    codes = in_order.encode(train.x)
    nearest = np.square(drawn[:, None] - codes[None]).sum(axis=2).argmin(axis=1)
    shares = np.array([(train.label[nearest] == label).mean() for label in (2, 5, 9)])
    np.testing.assert_allclose(shares, 1 / 3, atol=0.1)


def test_clusters_are_matched_to_classes_on_train_alone():
    codes, labels = blobs(300, 0)
    test, test_labels = blobs(100, 1)
    renamed = np.select([test_labels == 2, test_labels == 5], [5, 2], test_labels)
    result = probe("kmeans", codes, labels, test, renamed)
    assert result["accuracy"] == pytest.approx(np.mean(test_labels == 9), abs=1e-9)
    assert result["nmi"] == pytest.approx(1.0)  # which does not care for names


def test_clusters_are_found_by_one_thread_as_two_wait_for_each_other(monkeypatch):
    from threadpoolctl import threadpool_info

    fit, threads = probes.KMeans.fit, []

    def watched(self, *given):
        threads.extend(pool["num_threads"] for pool in threadpool_info())
        return fit(self, *given)

    monkeypatch.setattr(probes.KMeans, "fit", watched)
    codes = np.arange(8.0)[:, None]
    probe("kmeans", codes, codes[:, 0] > 3, codes, codes[:, 0] > 3)
    assert {*threads} == {1}


def test_every_class_has_a_cluster_though_one_has_the_most_of_two():
    (codes, labels), (test, test_labels) = blobs(300, 0), blobs(100, 1)
    mixed = np.where((labels == 5) & (np.arange(300) % 5 < 3), 2, labels)
    assert probe("kmeans", codes, mixed, test, test_labels)["accuracy"] == 1.0


def test_the_nearest_neighbour_is_the_nearest():
    (codes, labels), (test, test_labels) = blobs(60, 0, spread=3), blobs(40, 1, spread=3)
    nearest = np.square(test[:, None] - codes[None]).sum(axis=2).argmin(axis=1)
    assert probe("knn", codes, labels, test, test_labels)["accuracy"] == np.mean(labels[nearest] == test_labels)


@pytest.mark.parametrize("kind", ["logistic", "svm"])
def test_of_several_strengths_the_one_that_is_best_on_held_out_codes_is_used(kind):
    """Many directions that say nothing, and few examples: a strong fit learns the train codes by heart."""
    rng = np.random.default_rng(0)
    labels, test_labels = rng.integers(0, 2, 240), rng.integers(0, 2, 1000)
    side = 0.3 * (np.arange(100) < 20)
    codes, test = (rng.normal(0, 1, (len(y), 100)) + (2 * y - 1)[:, None] * side for y in (labels, test_labels))
    weak, strong = (probe(kind, codes, labels, test, test_labels, (c,))["accuracy"] for c in (1e-2, 1e3))
    assert weak > strong + 0.03
    for strengths in ((1e-2, 1e3), (1e3, 1e-2)):
        assert probe(kind, codes, labels, test, test_labels, strengths)["accuracy"] == weak


@pytest.mark.parametrize("kind", ["logistic", "svm"])
def test_the_units_of_a_code_s_dimensions_make_no_difference(kind):
    (codes, labels), (test, test_labels) = blobs(200, 0, spread=3), blobs(200, 1, spread=3)
    units = np.float32([1e-3, 1, 1e2, 1])
    expected = probe(kind, codes, labels, test, test_labels)
    assert probe(kind, codes * units, labels, test * units, test_labels) == expected


@pytest.mark.slow
def test_raw_values_and_pca_of_train_stand_beside_the_code(tiny):
    """Of noise, where every other input has other neighbours."""
    rng = np.random.default_rng(0)
    train, test = (
        Examples(rng.integers(0, 256, (n, 4, 4, 1), np.uint8), rng.integers(0, 2, n).astype(np.int32))
        for n in (40, 300)
    )
    trained = aejax.fit(tiny.experiment, dataset=tiny.dataset)
    rows = compare(trained, Dataset("noise", train, test, test), ("logistic", "knn"))
    assert all(set(row) == {"logistic_accuracy", "knn_accuracy"} for row in rows.values())
    x, other = (part.x.reshape(len(part), 16) / 255 for part in (train, test))
    directions = np.linalg.svd(x - x.mean(axis=0))[2][:3].T
    inputs = {
        "code": (trained.encode(train.x), trained.encode(test.x)),
        "PCA-3": (x @ directions, other @ directions),
        "raw values": (x, other),
    }
    expected = {name: probe("knn", a, train.label, b, test.label)["accuracy"] for name, (a, b) in inputs.items()}
    assert {name: row["knn_accuracy"] for name, row in rows.items()} == expected
    assert len(set(expected.values())) == 3


def test_data_without_labels_is_refused(tiny):
    trained = aejax.fit(tiny.experiment, dataset=tiny.dataset)
    bare = Dataset("bare", *(Examples(tiny.dataset.part(name).x) for name in ("train", "validation", "test")))
    for method in (lambda: compare(trained, bare, ("knn",)), lambda: fine_tune(trained, bare)):
        with pytest.raises(InputError, match="bare has no labels"):
            method()


def test_labels_that_are_no_classes_are_refused(tiny):
    """As those of sprites, which number the combinations of factors: every one is another."""
    trained = aejax.fit(tiny.experiment, dataset=tiny.dataset)
    parts = [tiny.dataset.part(name) for name in ("train", "validation", "test")]
    numbered = [Examples(part.x, np.arange(len(part), dtype=np.int32) + 100 * i) for i, part in enumerate(parts)]
    for method in (lambda data: compare(trained, data, ("knn",)), lambda data: fine_tune(trained, data)):
        with pytest.raises(InputError, match="no label of numbered's test part occurs in its train part"):
            method(Dataset("numbered", *numbered))


@pytest.mark.parametrize("size", [0, 41])
def test_fine_tuning_without_a_step_is_refused(tiny, size):
    trained = aejax.fit(tiny.experiment, dataset=tiny.dataset)
    with pytest.raises(InputError, match=f"batch_size is {size}, but the train part of tiny has 40 .*: give 1 to 40"):
        fine_tune(trained, tiny.dataset, batch_size=size)


@pytest.mark.slow
def test_fine_tuning_learns_the_labels_and_leaves_the_autoencoder_alone(tiny):
    trained = aejax.fit(tiny.experiment, dataset=tiny.dataset)
    before = jax.tree.map(np.array, trained.state.params)
    result = fine_tune(trained, tiny.dataset, epochs=60, batch_size=8, optimizer=Adam(1e-2))
    assert result["error"] == 0.0  # three kinds of images with little noise
    jax.tree.map(np.testing.assert_array_equal, trained.state.params, before)


@pytest.mark.slow
def test_fine_tuning_starts_from_all_that_was_learned(tiny):
    """Where the encoder's weights, the latent's or the running averages are others, so is the result."""
    model = tiny.experiment.model.clone(encoder=MLPEncoder((8,), norm="batch"))
    trained = aejax.fit(dataclasses.replace(tiny.experiment, model=model), dataset=tiny.dataset)
    state = trained.state

    def halved(tree):
        return jax.tree.map(lambda leaf: leaf / 2, tree)

    weights = [state.params | {part: halved(state.params[part])} for part in ("encoder", "latent")]
    states = [state, *(dataclasses.replace(state, params=params) for params in weights)]
    states.append(dataclasses.replace(state, collections=halved(state.collections)))
    losses = [
        fine_tune(dataclasses.replace(trained, state=each), tiny.dataset, epochs=1, batch_size=40)["loss_nats"]
        for each in states
    ]
    assert len(set(losses)) == 4


@pytest.mark.slow
def test_fine_tuning_corrupts_the_input_in_training_alone(tiny):
    """Of nothing but zeros a classifier learns how common the classes are, and no image tells it more."""
    trained = aejax.fit(tiny.experiment, dataset=tiny.dataset)
    zeros = dataclasses.replace(tiny.dataset, train=Examples(0 * tiny.dataset.train.x, tiny.dataset.train.label))
    tune = {"epochs": 20, "batch_size": 8, "optimizer": Adam(1e-2)}
    masked = fine_tune(trained, tiny.dataset, corruption=Masking(1.0), **tune)
    assert masked == fine_tune(trained, zeros, **tune)
    assert fine_tune(trained, tiny.dataset, **tune)["error"] < masked["error"]


@pytest.mark.slow
def test_fine_tuning_sees_the_data_as_training_placed_it(tiny):
    trained = aejax.fit(tiny.experiment, dataset=tiny.dataset)
    once = StaticBinarise()
    parts = (tiny.dataset.part(name) for name in ("train", "validation", "test"))
    drawn = Dataset(
        "drawn", *(Examples(np.asarray(once.place(jax.numpy.asarray(part.x))), part.label) for part in parts)
    )
    tune = {"epochs": 2, "batch_size": 8}
    placed = fine_tune(dataclasses.replace(trained, preprocess=once), tiny.dataset, **tune)
    assert placed == fine_tune(trained, drawn, **tune)
    assert placed != fine_tune(trained, tiny.dataset, **tune)


@pytest.mark.parametrize(("classes", "strength"), [(2, 1.0), (3, 1.0), (3, 1e-2)])
def test_the_linear_svm_has_the_weights_of_another_solver(classes, strength):
    from sklearn.svm import LinearSVC

    rng = np.random.default_rng(0)
    labels = rng.integers(0, classes, 300)
    codes = (rng.normal(size=(classes, 5))[labels] + rng.normal(size=(300, 5))).astype(np.float32)
    ours = SquaredHinge(strength).fit(codes, labels)
    theirs = LinearSVC(C=strength, tol=1e-8, max_iter=100_000).fit(codes, labels)
    weights = np.vstack([theirs.coef_.T, theirs.intercept_])
    np.testing.assert_allclose(ours.coef_[:, -weights.shape[1] :], weights, atol=0.02 * abs(weights).max())
    assert (ours.predict(codes) == theirs.predict(codes)).mean() > 0.98


def test_a_probe_that_has_not_converged_says_so_in_one_line(monkeypatch, caplog):
    monkeypatch.setattr(probes, "MOST_STEPS", 1)
    for kind in ("logistic", "svm"):
        probe(kind, *blobs(200, 0, spread=3), *blobs(100, 1))
    assert [message.split(":")[0] for message in caplog.messages] == [
        f"the {kind} probe has not converged in 1 steps" for kind in ("logistic", "svm")
    ]


def test_a_run_measures_the_probes_that_its_experiment_asks_for(tiny, tmp_path):
    x, y = blobs(90, 0, spread=3)
    test, test_labels = blobs(40, 1, spread=3)
    dataset = Dataset("blobs", Examples(x, y), Examples(x[:0], y[:0]), Examples(test, test_labels))
    kinds = ("svm", "knn", "kmeans")
    experiment = dataclasses.replace(tiny.experiment, loss=Loss(Gaussian()), probes=kinds, epochs=1)
    trained = aejax.fit(experiment, dataset=dataset, folder=tmp_path, figures=False)
    measured = trained.run.result()["test"]
    probed = {name: value for name, value in measured.items() if name.startswith((*kinds, "logistic"))}
    assert set(probed) == {"svm_accuracy", "knn_accuracy", "kmeans_accuracy", "kmeans_nmi"}
    assert probed == compare(trained, dataset, kinds)["code"]


@pytest.mark.parametrize(("label", "has"), [(None, "d has no labels"), (np.zeros(20, np.int32), "d have one label")])
def test_probes_need_classes(tiny, label, has):
    part = Examples(np.zeros((20, 4), np.float32), label)
    experiment = dataclasses.replace(tiny.experiment, loss=Loss(Gaussian()), probes=("svm",))
    with pytest.raises(InputError, match=has):
        aejax.fit(experiment, dataset=Dataset("d", part, part.take(np.arange(0)), part))
