"""A page shows text from outside as text: no name of a topic, class or file becomes markup."""

import warnings
from html.parser import HTMLParser

import numpy as np
import pytest
from markupsafe import Markup
from matplotlib.figure import Figure

from ssd_perception.viz import page
from ssd_perception.viz.plot_style import svg

HOSTILE = '"><script>alert(1)</script>\' onerror=alert(1) <b>&{0}{}\udcff\x1b[31m\u202e'


class Elements(HTMLParser):
    """The elements of a page with their attributes."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))


@pytest.mark.parametrize('part', [
    page.cards([(HOSTILE,) * 3]), page.table([HOSTILE], [[HOSTILE, HOSTILE]]),
    page.heading(HOSTILE), page.note(HOSTILE), page.warning(HOSTILE, [HOSTILE]),
    page.wide(HOSTILE, 600), page.figure(HOSTILE, HOSTILE), page.image(b'', HOSTILE),
    page.join([HOSTILE, Markup('<b>')], '<br>'), page.html('<a href="{0}">{0}</a>', HOSTILE),
    page.document(HOSTILE, [HOSTILE]), svg(Figure(), HOSTILE),
], ids=['cards', 'table', 'heading', 'note', 'warning', 'wide', 'figure', 'image', 'join', 'html',
        'document', 'svg'])
def test_text_from_outside_stays_text(part):
    found = Elements(part).found
    assert found and 'script' not in dict(found)
    assert not any(name.startswith('on') for _, attributes in found for name in attributes)
    assert 'alert(1)' in part
    whole = page.document('', [part])
    assert 'alert(1)' in whole and all(line.isprintable() for line in whole.split('\n'))


def test_a_video_too_large_for_the_page_is_referred_to_by_a_quoted_name(tmp_path, monkeypatch):
    path = tmp_path / 'a:"><script>.webm'
    path.write_bytes(b'video')
    assert Elements(page.video(path)).found[0][1]['src'] == 'data:video/webm;base64,dmlkZW8='
    monkeypatch.setattr(page, 'MAX_EMBEDDED_BYTES', 4)
    (tag, attributes), = Elements(page.video(path)).found
    assert tag == 'video' and attributes['src'] == 'a%3A%22%3E%3Cscript%3E.webm'


def test_an_image_may_come_as_an_array_of_bytes():
    assert page.image(np.frombuffer(b'jpeg', np.uint8), 'x') == page.image(b'jpeg', 'x')


def test_a_name_in_any_script_stays_text_without_a_warning():
    figure = Figure((3, 2), layout='constrained')
    figure.subplots().set_yticks([0], ['x' * 100])  # leaves no room for the axes
    figure.text(0.5, 0.5, '標識 \u0d95')
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        assert '標識 \u0d95' in svg(figure, 'signs')
