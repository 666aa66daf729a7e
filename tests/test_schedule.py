import pytest

from lowlight_cli.core.training import schedule
from lowlight_cli.settings import TrainSettings


def test_rates() -> None:
    step = TrainSettings(epochs=50, decay_epochs=(20, 40))
    assert [schedule.rate_factor(step, epoch) for epoch in (0, 19, 20, 39, 40)] == pytest.approx([1, 1, 0.1, 0.1, 0.01])
    cosine = TrainSettings(epochs=50, scheduler="cosine")
    assert [schedule.rate_factor(cosine, epoch) for epoch in (0, 25)] == pytest.approx([1, 0.5])
    assert schedule.rate_factor(cosine, 49) < 0.01
    twice = TrainSettings(epochs=80, scheduler="cosine", restarts=(50, 100))
    assert [schedule.rate_factor(twice, epoch) for epoch in (0, 25, 50, 65)] == pytest.approx([1, 0.5, 1, 0.5])
    assert schedule.rate_factor(twice, 49) == schedule.rate_factor(cosine, 49)
    assert schedule.rate_factor(twice, 79) < 0.01  # a restart after the end does not stretch the last cosine
