"""The table and the curves of the density-ratio study."""

from tfade.reporting.density_ratio_report import StudyRun, plot, tables

CURVE = [{"step": 5, "known": 1.0, "estimate": 0.5}, {"step": 10, "known": 2.0, "estimate": None}]


def test_numbers_that_are_not_finite_are_reported_as_such():
    runs = [StudyRun("learning", 1000, 3, {}, 1.0, CURVE)]
    assert "| 1,000 | 3 | 1 | 2 | not finite | not finite | 10 |" in tables(runs)


def test_errors_are_relative_where_the_divergence_is_not_negligible():
    curves = ([{"step": 5, "known": 2.0, "estimate": 1.5}], [{"step": 5, "known": 1e-3, "estimate": 0.25}])
    runs = [StudyRun("estimation", dimensions, 0, {}, 1.0, curve) for dimensions, curve in zip((1, 2), curves)]
    assert "| 1 | 0 | 2 | 1.5 | -0.5 (-25%) | 5 |" in tables(runs)
    assert "| 2 | 0 | 0.001 | 0.25 | +0.249 | 5 |" in tables(runs)


def test_a_panel_for_each_dimension_and_mode():
    runs = [
        StudyRun(mode, dimensions, seed, {}, 1.0, CURVE)
        for mode in ("estimation", "learning")
        for dimensions in (1, 10, 100)
        for seed in (0, 1)
    ]
    figure = plot(runs)
    assert [axes.get_title() for axes in figure.axes][:2] == ["estimation, 1-D", "estimation, 10-D"]
    assert len(figure.axes) == 6
    estimates = [line for axes in figure.axes for line in axes.lines if line.get_label().startswith("estimate")]
    assert [list(line.get_xdata()) for line in estimates] == [[5]] * 12  # points that are not finite are left out
