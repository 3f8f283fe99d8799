import jax
import jax.numpy as jnp
import pytest

from aejax.models._convolution import Convolution


@pytest.mark.parametrize(
    ("old", "new", "stride", "dilation"), [(28, 14, 2, 1), (7, 4, 2, 1), (4, 7, 1, 2), (14, 28, 1, 2)]
)
def test_it_makes_an_image_of_the_size_asked_for(old, new, stride, dilation):
    layer = Convolution(3, (new, new), stride=stride, dilation=dilation)
    value, _ = jax.eval_shape(lambda x: layer.init_with_output(jax.random.key(0), x), jnp.zeros((2, old, old, 1)))
    assert value.shape == (2, new, new, 3)
