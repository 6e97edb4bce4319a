"""The demo's verdict, case by case."""

import pytest

from ssd_perception.cli.demo import judge


@pytest.mark.parametrize('answered, ap50, reference, says', [
    (100, 0.95, 0.95, []),
    (95, 0.95, 0.95, []),
    (94, 0.95, 0.95, ['94 of 100']),
    (100, 0.931, 0.95, []),
    (100, 0.92, 0.95, ['AP50 is 0.920']),
    (100, 0.98, 0.95, ['AP50 is 0.980']),
    (100, None, 0.95, ['could not be measured']),
    (100, 0.95, None, ['do not say']),
    (0, None, None, ['0 of 100', 'could not be measured']),
])
def test_verdict(answered, ap50, reference, says):
    failures = judge({'answered': answered, 'ap50': ap50}, 100, reference)
    assert len(failures) == len(says)
    assert all(text in failure for text, failure in zip(says, failures))
