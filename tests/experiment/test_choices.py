from dataclasses import replace

import pytest

from aejax.core import Adam, AdamW, Cosine, InputError, WarmupCosine, kebab
from aejax.core.optimizers import SGD
from aejax.data import Standardise
from aejax.experiment import choose_parts, part_choices, registry
from aejax.losses import KL, Gaussian, Reconstruction
from aejax.losses.rate import Capacity
from aejax.models import ConvEncoder, MLPEncoder

KEBABS = {
    "Adam": "adam",
    "SGD": "sgd",
    "WarmupCosine": "warmup-cosine",
    "WarmupStableDecay": "warmup-stable-decay",
    "MLPEncoder": "mlp-encoder",
    "GaussianLearnedScale": "gaussian-learned-scale",
    "WeightL2": "weight-l2",
}


@pytest.fixture
def experiment(tiny):
    return tiny.experiment


def exchanged(experiment, *arguments):
    chosen, left = choose_parts(experiment, list(arguments))
    assert left == []
    return chosen


@pytest.mark.parametrize(("name", "expected"), KEBABS.items())
def test_names_are_written_with_dashes(name, expected):
    assert kebab(name) == expected


@pytest.mark.parametrize("arguments", [("--optimizer", "sgd"), ("--optimizer=sgd",)])
def test_a_part_is_exchanged_by_name(experiment, arguments):
    assert exchanged(experiment, *arguments).optimizer == SGD(learning_rate=1e-3)


def test_settings_that_old_and_new_share_are_kept(experiment):
    experiment = replace(experiment, optimizer=AdamW(0.3, Cosine(0.2), clip_norm=2.0, b1=0.7, weight_decay=0.4))
    assert exchanged(experiment, "--optimizer", "sgd").optimizer == SGD(0.3, Cosine(0.2), 2.0)
    assert exchanged(experiment, "--optimizer", "adam").optimizer == Adam(0.3, Cosine(0.2), 2.0, b1=0.7)
    assert exchanged(experiment, "--optimizer.schedule", "warmup-cosine").optimizer.schedule == WarmupCosine(final=0.2)


def test_parts_of_parts_and_modules_are_exchanged(experiment):
    chosen = exchanged(
        experiment,
        *("--loss.likelihood", "gaussian"),
        *("--data.preprocess", "standardise"),
        *("--model.encoder", "conv-encoder"),
    )
    assert chosen.loss.likelihood == Gaussian()
    assert chosen.loss.terms == experiment.loss.terms
    assert chosen.data.preprocess == Standardise()
    assert chosen.model.encoder == ConvEncoder(activation=experiment.model.encoder.activation)
    assert exchanged(chosen, "--model.encoder", "mlp-encoder").model.encoder == MLPEncoder()


def test_terms_are_added_and_exchanged_by_name(experiment):
    chosen = exchanged(experiment, "--loss.terms.kl", "kl")
    assert chosen.loss.terms == {"reconstruction": Reconstruction(), "kl": KL()}
    heavy = replace(chosen, loss=replace(chosen.loss, terms={"kl": KL(4.0)}))
    assert exchanged(heavy, "--loss.terms.kl=capacity").loss.terms == {"kl": Capacity(4.0)}
    with pytest.raises(
        InputError,
        match=r"--loss.terms.kl is 'kll', but it must be one of adversarial-correlation, adversarial-decoding, "
        "adversarial-prior,",
    ):
        choose_parts(experiment, ["--loss.terms.kl", "kll"])


def test_data_is_named_and_keeps_its_other_settings(experiment):
    chosen = exchanged(experiment, "--data", "some/file.npy")
    assert chosen.data.name == "some/file.npy"
    assert chosen.data.preprocess == experiment.data.preprocess


def test_nothing_else_is_touched(experiment):
    arguments = ["--seed", "3", "--model.encoder.hidden", "4", "5", "--resume", "runs/x", "-h", "--", "word"]
    assert choose_parts(experiment, arguments) == (experiment, arguments)


def test_later_choices_see_earlier_ones(experiment):
    chosen = exchanged(experiment, "--optimizer", "sgd", "--optimizer", "adam-w", "--optimizer.schedule", "cosine")
    assert chosen.optimizer == AdamW(1e-3, Cosine())


@pytest.mark.parametrize("arguments", [("--optimizer", "adm"), ("--optimizer",), ("--optimizer=",)])
def test_an_unknown_name_lists_what_could_be_chosen(experiment, arguments):
    with pytest.raises(InputError, match=r"--optimizer is .* must be one of adam, adam-w, adamax, muon, rms-prop, sgd"):
        choose_parts(experiment, list(arguments))


def test_an_unknown_name_is_reported_under_its_whole_path(experiment):
    with pytest.raises(
        InputError, match=r"--optimizer\.schedule is 'cosin', .* constant, cosine, steps, warmup-cosine"
    ):
        choose_parts(experiment, ["--optimizer.schedule", "cosin"])


def test_a_part_inside_a_dictionary_is_refused_or_exchanged_but_never_a_crash(experiment):
    with pytest.raises(InputError, match=r"--loss\.terms\.reconstruction"):
        choose_parts(experiment, ["--loss.terms.reconstruction", "nonsense"])


@pytest.mark.parametrize("part", ["model", "loss"])
def test_a_part_of_only_one_kind_does_not_offer_an_empty_list(experiment, part):
    with pytest.raises(InputError) as caught:
        choose_parts(experiment, [f"--{part}", "nonsense"])
    assert not str(caught.value).rstrip().endswith("one of")


def test_every_listed_choice_can_be_chosen(experiment):
    listed = dict(part_choices(experiment))
    assert {"optimizer", "optimizer.schedule", "loss.likelihood", "data", "data.preprocess", "model.encoder"} <= set(
        listed
    )
    for path, names in listed.items():
        for name in names:
            exchanged(experiment, f"--{path}", name)


@pytest.mark.parametrize("name", registry.names())
def test_every_registered_experiment_has_choices(name):
    listed = dict(part_choices(registry.get(name)))
    assert all(len(names) > 1 or path.endswith(".NAME") for path, names in listed.items())
    assert "adam" in listed["optimizer"]
