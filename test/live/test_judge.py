"""The demo's verdict, case by case."""

import pytest

pytest.importorskip('rosbags')

from ssd_perception.live.demo import judge  # noqa: E402
from ssd_perception.live.run_result import AgeFigures, RunResult  # noqa: E402


@pytest.mark.parametrize('answered, ap50, reference, says', [
    (100, 0.95, 0.95, []),
    (95, 0.95, 0.95, []),
    (94, 0.95, 0.95, ['94 of 100']),
    (100, 0.931, 0.95, []),
    (100, 0.92, 0.95, ['AP50 is 0.920']),
    (100, 0.98, 0.95, ['AP50 is 0.980']),
    (100, None, 0.95, ['could not be measured']),
    (100, 0.95, None, ['have no AP50']),
    (0, None, None, ['0 of 100', 'could not be measured']),
])
def test_verdict(answered, ap50, reference, says):
    result = RunResult(100, answered, 0, 0, {}, 0.5, 1.0, AgeFigures(1.0, 1.0, 1.0), ap50)
    failures = judge(result, 100, reference)
    assert len(failures) == len(says)
    assert all(text in failure for text, failure in zip(says, failures))
