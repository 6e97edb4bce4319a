"""The three-phase learning rate and the averaged weights, by their defining points."""

import pytest
import torch

from ssd_perception.training.schedule import ModelEma, ThreePhase


def test_three_phases():
    rate = ThreePhase(1000, warmup=100, plateau=0.4, floor=0.01, warmup_start=0.1)
    assert rate(0) == pytest.approx(0.1)
    assert rate(50) == pytest.approx(0.55)
    assert [rate(i) for i in (100, 250, 400)] == [1.0] * 3
    assert rate(400 + 300) == pytest.approx((1 + 0.01) / 2, abs=0.01)
    assert rate(999) == pytest.approx(0.01)
    steps = [rate(i) for i in range(400, 1000)]
    assert steps == sorted(steps, reverse=True)


@pytest.mark.parametrize('iterations', [1, 2, 50])
def test_short_runs_never_leave_the_range(iterations):
    rate = ThreePhase(iterations, warmup=100, plateau=0.3, floor=0.01)
    assert all(0 < rate(i) <= 1 for i in range(iterations))


def test_nonsense_is_refused():
    with pytest.raises(ValueError, match='plateau'):
        ThreePhase(100, warmup=10, plateau=2.0, floor=0.01)


def test_ema_forgets_its_start_and_follows():
    model = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(model.weight)
    ema = ModelEma(model, decay=0.9, ramp=2.0)
    torch.nn.init.ones_(model.weight)
    for _ in range(100):
        ema.update(model)
    assert ema.model.weight.item() == pytest.approx(1, abs=1e-3)
    assert not ema.model.weight.requires_grad
