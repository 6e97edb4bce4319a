"""docs/data.md lists every kind of problem, as the code has them."""

import re
from pathlib import Path

import ssd_perception
from ssd_perception.datacheck.problems import KINDS

PAGE = Path(ssd_perception.__file__).parents[1] / 'docs/data.md'


def test_the_table_of_problems_is_the_codes():
    rows = ['| problem | | what to do |', '| --- | --- | --- |'] + [
        f'| {kind} | {"error" if about.error else "warning"} | {about.remedy} |'
        for kind, about in KINDS.items()]
    shown = re.search(r'<!-- kinds -->\n(.*)\n<!-- /kinds -->', PAGE.read_text(), re.DOTALL)
    assert shown and shown[1].splitlines() == rows
