"""Training curves: nothing that was reported is left out."""

from tfade.reporting.curves import curves, terms


def test_history_is_read_by_term_and_what_is_no_number_is_left_out():
    rows = [
        {"step": "10", "encoder/loss": "1.5", "validation/loss": "", "critic/real": "nan"},
        {"step": "20", "encoder/loss": "0.5", "validation/loss": "2.0", "critic/real": "inf"},
    ]
    assert terms(rows) == {"loss": {"encoder": ([10, 20], [1.5, 0.5]), "validation": ([20], [2.0])}}
    ((caption, png),) = curves(rows)
    assert caption == "loss from step 10 to 20; encoder: 1.5 to 0.5, validation: 2 to 2"
    assert png.startswith(b"\x89PNG")
    assert curves([]) == []
    assert len(curves([{"step": "5", "plain": "1e6"}, {"step": "6", "plain": "1"}])) == 1  # a logarithmic axis
