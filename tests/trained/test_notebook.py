"""What a notebook shows of a model and of data."""

import re

import aejax


def test_a_model_is_a_line_and_in_a_notebook_its_settings_curve_and_picture(tiny, tmp_path):
    trained = aejax.fit(tiny.experiment, tiny.dataset)
    assert repr(trained) == "Trained(tiny, Autoencoder of Plain(3), [4, 4, 1], 10 steps, 2 epochs)"
    shown = trained._repr_html_()
    (train, validation) = re.findall(r"<polyline[^>]*points='([^']*)'", shown)
    assert [float(pair.split(",")[0]) for pair in train.split()] == [0, 320]
    heights = [float(pair.split(",")[1]) for line in (train, validation) for pair in line.split()]
    losses = [row["loss_nats"] for split in ("train", "validation") for row in trained.history if row["split"] == split]
    assert min(heights) == 0
    assert max(heights) == 120
    assert sorted(range(4), key=lambda place: -losses[place]) == sorted(range(4), key=lambda place: heights[place])
    assert "<img" not in shown
    drawn = aejax.fit(tiny.experiment, tiny.dataset, folder=tmp_path, figures=False)
    (drawn.run.path / "figures").mkdir()
    (drawn.run.path / "figures" / "reconstructions.png").write_bytes(b"a picture")
    assert drawn._repr_html_().count("<img") == 1
    assert str(drawn.run.path) in repr(drawn)


def test_a_model_that_never_trained_and_a_loss_that_is_not_finite_are_shown_too(tiny):
    trained = aejax.fit(tiny.experiment, tiny.dataset)
    rows = [row | {"loss_nats": float("nan")} for row in trained.history]
    for history in ([], rows):
        other = type(trained)(**{**vars(trained), "history": history})
        assert "<polyline" not in other._repr_html_()
        assert repr(other).startswith("Trained(tiny, ")


def test_a_data_set_is_a_line(tiny):
    assert repr(tiny.dataset) == "Dataset('tiny', 40 train, 11 validation, 10 test, [4, 4, 1] uint8)"
