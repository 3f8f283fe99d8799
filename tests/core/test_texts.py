import json
import math

import pytest

from aejax.core import InputError, json_text, with_nan
from aejax.experiment import to_json
from aejax.losses import GaussianNoise


def test_numbers_that_are_none_are_null_in_json():
    content = {"a": math.nan, "b": [1.5, math.inf, (2, -math.inf)], "c": {"d": "NaN", "e": None, "f": True}}
    read = json.loads(json_text(content), parse_constant=pytest.fail)
    assert read == {"a": None, "b": [1.5, None, [2, None]], "c": {"d": "NaN", "e": None, "f": True}}
    assert math.isnan(with_nan({"a": None})["a"])
    assert with_nan({"a": 1.0, "b": "x"}) == {"a": 1.0, "b": "x"}


def test_a_setting_that_is_no_number_is_refused():
    with pytest.raises(InputError, match="a setting is inf, which no file of settings can hold: give a finite number"):
        to_json(GaussianNoise(math.inf))
