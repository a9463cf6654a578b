"""The bound that `cpp/src/kernels/postprocess/smooth_cells.h` rests on, in double precision."""

from __future__ import annotations

from math import factorial

import numpy as np
import pytest

#: Of the fifth derivative of a logistic curve, v - 30 v^2 + 120 v^3 for v in [0, 1/4].
LEAST, GREATEST = -0.120106, 0.25

NODES = np.linspace(0, 1, 5)
#: Of |t (t - 1/4) (t - 1/2) (t - 3/4) (t - 1)| on [0, 1].
GREATEST_PRODUCT = 0.00355


def fifth_derivative(weights: np.ndarray, slopes: np.ndarray) -> np.ndarray:
    """p^(5)(0) / 5! for p(t) = w0 e^(s0 t) / sum_c wc e^(sc t), the classes in the last axis.

    Power series of numerator and denominator, divided.
    """
    orders = np.arange(6)
    terms = weights[..., None] * slopes[..., None] ** orders
    terms = terms / np.array([factorial(order) for order in orders], float)
    denominator = terms.sum(-2)
    series = np.zeros_like(denominator)
    for n in orders:
        known = sum(series[..., k] * denominator[..., n - k] for k in range(n))
        series[..., n] = (terms[..., 0, n] - known) / denominator[..., 0]
    return series[..., 5]


@pytest.mark.parametrize("classes", [2, 3, 4, 5, 8, 21])
def test_no_mixture_bends_more_than_two_equal_classes(classes: int) -> None:
    rng = np.random.default_rng(classes)
    weights = np.exp(4 * rng.normal(size=(100_000, classes)))
    slopes = rng.uniform(size=(100_000, classes))
    slopes[::2] = np.round(slopes[::2])  # the extremes are at the ends of the interval
    assert np.abs(fifth_derivative(weights, slopes)).max() <= 1 / 480 * (1 + 1e-9)


def test_the_fifth_derivative_of_a_logistic_curve() -> None:
    v = np.linspace(0, 0.25, 100_001)
    derivative = v - 30 * v**2 + 120 * v**3
    assert derivative.max() == GREATEST
    assert LEAST < derivative.min() < LEAST + 1e-6
    assert (GREATEST - LEAST) / factorial(5) == pytest.approx(1 / 324, rel=1e-3)


@pytest.mark.parametrize("classes", [3, 5, 21])
def test_tails_bend_no_more_than_logistic_curves(classes: int) -> None:
    """All classes of a slope and more together: what the proof is about."""
    rng = np.random.default_rng(classes)
    weights = np.exp(4 * rng.normal(size=(50_000, classes)))
    slopes = np.sort(rng.uniform(size=(50_000, classes)))
    slopes[::2] = np.round(slopes[::2])
    members = [(np.roll(weights, -k, -1), np.roll(slopes, -k, -1)) for k in range(classes)]
    tail = np.zeros(50_000)
    for weight, slope in reversed(members[1:]):
        tail += fifth_derivative(weight, slope) * factorial(5)
        assert tail.min() >= LEAST * (1 + 1e-9)
        assert tail.max() <= GREATEST * (1 + 1e-9)


def test_two_equal_classes_reach_the_bound() -> None:
    value = fifth_derivative(np.array([1.0, 1.0]), np.array([1.0, 0.0]))
    assert abs(value) == pytest.approx(1 / 480, rel=1e-12)


def test_the_product_of_distances_from_the_nodes() -> None:
    t = np.linspace(0, 1, 100_001)
    product = np.abs(np.prod(t[:, None] - NODES, axis=1)).max()
    assert GREATEST_PRODUCT * 0.998 < product < GREATEST_PRODUCT


def test_how_much_the_polynomial_enlarges_errors_at_its_nodes() -> None:
    t = np.linspace(0, 1, 10_001)
    lagrange = [
        np.prod([(t - other) / (node - other) for other in NODES if other != node], axis=0)
        for node in NODES
    ]
    assert np.abs(lagrange).sum(0).max() == pytest.approx(2.208, abs=1e-3)


def test_the_error_in_one_direction() -> None:
    spread = 0.5
    t = np.linspace(0, 1, 1001)
    rng = np.random.default_rng(1)
    worst = 0.0
    for _ in range(300):
        logits = rng.normal(size=(6, 1)) + spread * np.round(rng.uniform(size=(6, 1))) * t
        powers = np.exp(logits)
        exact = powers[0] / powers.sum(0)
        at_nodes = exact[[0, 250, 500, 750, 1000]]
        worst = max(worst, np.abs(np.polyval(np.polyfit(NODES, at_nodes, 4), t) - exact).max())
    assert 0 < worst <= GREATEST_PRODUCT / 480 * spread**5
