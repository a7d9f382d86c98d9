from benchmarks.timing import compare


def test_a_comparison_takes_medians_and_ratios_round_by_round() -> None:
    """The first round warms up; the median of the ratios 2, 1 and 3 is not the ratio of the medians."""
    first, second = iter([100.0, 2.0, 4.0, 9.0]), iter([1.0, 1.0, 4.0, 3.0])
    assert compare(lambda: next(first), lambda: next(second), 3) == (4.0, 3.0, 2.0)
