"""Units of likelihoods."""

import numpy as np
import pytest

from jaxgen.evaluation import Estimate, bits_of


def test_bits_of_an_estimate_are_its_nats_in_another_unit_with_its_error():
    value, error = bits_of(Estimate(84.5, 0.25), 784)
    assert value == pytest.approx(84.5 / np.log(2) / 784, rel=1e-12)
    assert error == pytest.approx(0.25 / np.log(2) / 784, rel=1e-12)
    assert bits_of(Estimate(84.5), 784).standard_error is None
