"""What a mistyped name is answered with."""

from aejax.core import nearest

SETTINGS = ["epochs", "optimizer.b1", "optimizer.learning_rate", "model.latent.size"]


def test_a_path_is_answered_from_its_group_and_a_name_from_all():
    assert nearest("optimizer.learningrate", SETTINGS) == "did you mean optimizer.learning_rate?"
    assert nearest("optimizer.zzz", SETTINGS) == ""
    assert nearest("epoch", SETTINGS) == "did you mean epochs?"
    assert nearest("sepal_length", ["sepal.length", "kind"]) == "did you mean sepal.length?"
