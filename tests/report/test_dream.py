"""The pictures of the world model's quality, from known figures."""

import numpy as np

from edeline_jax.report.dream import calibration_figure, horizon_figure


def test_both_errors_are_drawn_against_the_horizon():
    horizon = {
        "steps": [1, 10, 100],
        "num_starts": [8, 7, 2],
        "pixel_error": [1.0, 4.0, 9.0],
        "pixel_error_repeat": [3.0, 5.0, 6.0],
    }
    (axes,) = horizon_figure(horizon).axes
    model, repeated = (line.get_xydata() for line in axes.lines)
    np.testing.assert_allclose(model, [[1, 1], [10, 4], [100, 9]])
    np.testing.assert_allclose(repeated, [[1, 3], [10, 5], [100, 6]])
    assert axes.get_xscale() == "log" and "levels of 0..255" in axes.get_ylabel()
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1\n(8)", "10\n(7)", "100\n(2)"]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [line.get_label() for line in axes.lines]


def test_the_observed_share_is_drawn_against_the_probability():
    """Empty bins have no point."""
    nothing = [None] * 8
    bins = {"predicted": [0.02, *nothing, 0.9], "observed": [0.1, *nothing, 0.7], "count": [1234, *[0] * 8, 5]}
    only = {"predicted": [None, 0.1, *nothing], "observed": [None, 0.0, *nothing], "count": [0, 7, *[0] * 8]}
    reward, end = calibration_figure({"reward": bins, "end": only}).axes
    np.testing.assert_allclose(reward.lines[1].get_xydata(), [[0.02, 0.1], [0.9, 0.7]])
    np.testing.assert_allclose(end.lines[1].get_xydata(), [[0.1, 0]])
    assert [text.get_text() for text in reward.texts] == ["1,234", "5"]
    assert (reward.get_title("left"), end.get_title("left")) == ("reward", "end")
