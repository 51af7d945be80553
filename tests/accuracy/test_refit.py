"""The coefficients in the product are those that its kept observations give."""

from __future__ import annotations

import numpy as np
import pytest

from sync_core.analysis import confidence
from tests.accuracy import refit


def test_the_coefficients_are_the_fitted_ones():
    inputs, right = refit.read()
    assert 0 < right.sum() < len(right)
    stored = [getattr(confidence, name) for name in refit.NAMES]
    assert refit.fitted(inputs, right) == pytest.approx(stored, abs=0.05)


def test_no_observed_answer_is_confidently_wrong():
    inputs, right = refit.read()
    stored = np.array([getattr(confidence, name) for name in refit.NAMES])
    claimed = 1.0 / (1.0 + np.exp(-inputs @ stored))
    assert claimed[right == 0].max() < 0.5
    assert np.mean(claimed[right == 1] > 0.5) > 0.9
