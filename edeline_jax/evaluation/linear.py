"""Linear maps fitted in closed form: ridge regression, and classification by it."""

from typing import NamedTuple

import numpy as np

PENALTIES = tuple(10.0 ** np.arange(-8, 3))  # on squared weights, of standardised inputs; errors are means over steps


class Data(NamedTuple):
    """N examples."""

    x: np.ndarray  # [N, D]
    y: np.ndarray  # [N, K]
    weight: np.ndarray  # [N]: how much the error of each counts


class LinearMap(NamedTuple):
    """x -> (x - mean) / scale @ weights + bias."""

    mean: np.ndarray
    scale: np.ndarray
    weights: np.ndarray
    bias: np.ndarray

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """[N, D] -> float64 [N, K]."""
        return (x - self.mean) / self.scale @ self.weights + self.bias


def fit_regression(train: tuple[np.ndarray, np.ndarray], validation: tuple[np.ndarray, np.ndarray]) -> LinearMap:
    """Ridge regression of pairs (x [N, D], y [N, K]); the penalty is the one that does best on `validation`.

    The map itself is fitted to both.
    """
    return _fit(*(Data(x, y, np.ones(len(x))) for x, y in (train, validation)))


def fit_classification(train: tuple[np.ndarray, np.ndarray], validation: tuple[np.ndarray, np.ndarray]) -> LinearMap:
    """The same for classes y, int [N]: regression of their indicators, in which classes count equally.

    A map's `argmax` over K is the class; K is one more than the highest class.
    """
    counts = np.bincount(np.concatenate([train[1], validation[1]]))
    indicators, weights = np.eye(len(counts)), 1 / np.maximum(counts, 1)
    return _fit(*(Data(x, indicators[y], weights[y]) for x, y in (train, validation)))


def ridge(data: Data, penalty: float) -> LinearMap:
    """The least weighted mean of squared errors plus `penalty` times the squared weights."""
    return _solve(_moments(data), penalty)


def _fit(train: Data, validation: Data) -> LinearMap:
    moments = _moments(train)

    def error(penalty: float) -> float:
        squares = np.square(_solve(moments, penalty)(validation.x) - validation.y).mean(1)
        return float(np.average(squares, weights=validation.weight))

    everything = Data(*(np.concatenate(pair) for pair in zip(train, validation, strict=True)))
    return ridge(everything, min(PENALTIES, key=error))


class _Moments(NamedTuple):
    """What a fit takes from its examples; `values` and `vectors` are those of the inputs' correlations."""

    mean: np.ndarray
    scale: np.ndarray
    bias: np.ndarray
    values: np.ndarray
    vectors: np.ndarray
    products: np.ndarray  # of inputs and outputs, [D, K]


def _moments(data: Data) -> _Moments:
    x, y = data.x.astype(np.float64), data.y.astype(np.float64)
    share = data.weight / data.weight.sum()
    mean, bias = share @ x, share @ y
    x -= mean
    scale = np.sqrt(share @ np.square(x))
    scale[scale < 1e-9] = 1.0  # an input that never changes
    x /= scale
    weighted = (share[:, None] * x).T
    return _Moments(mean, scale, bias, *np.linalg.eigh(weighted @ x), weighted @ (y - bias))


def _solve(m: _Moments, penalty: float) -> LinearMap:
    weights = m.vectors @ ((m.vectors.T @ m.products) / (m.values + penalty)[:, None])
    return LinearMap(m.mean, m.scale, weights, m.bias)
