"""Trainings of tests draw no plots, which takes as long as all else, but where a test asks."""

import pytest

from ssd_perception.training import run_folder


@pytest.fixture
def drawn():
    """For tests of what a training draws."""


@pytest.fixture(autouse=True)
def _nothing_drawn(request, monkeypatch):
    if 'drawn' not in request.fixturenames:
        for name in ('plot_schedule', 'plot_curves'):
            monkeypatch.setattr(run_folder, name, lambda *arguments: None)
