"""The verb `replay` as tests call it, and what it leaves."""

from ssd_perception.__main__ import main
from ssd_perception.bags.reader import Bag

FRAMES = 25


def replay(bag, out, *words):
    return main(['replay', str(bag), '--out', str(out), *words])


def files(out):
    """Return what must be the same in every run."""
    return {path.name: path.read_bytes() for path in sorted(out.rglob('*'))
            if path.suffix in ('.jsonl', '.webm', '.mcap')}


def messages(out, topic):
    with Bag(out / 'bag') as bag:
        return [record.message for record in bag.records([topic])]
