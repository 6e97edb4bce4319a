"""Fuzz the readers of files from outside with atheris (`pip install atheris`, Python <= 3.13).

    python3 tools/fuzz_readers.py mcap 600 OUT    # one of READERS, CPU seconds, where findings go

Every input must be read, or refused with a sentence for the user (``UserError``, ``YamlError``).
Anything else, and what takes longer than ``SLOW_S``, is written to OUT once for each place in the
code, and fuzzing goes on. OUT/runs.tsv gets a line of reader, CPU seconds, inputs and findings.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import atheris

REPO = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(REPO), str(REPO / 'test')]
with atheris.instrument_imports(include=['ssd_perception', 'mcap', 'yaml', 'rosbags']):
    from ssd_perception.bags.reader import RecoveringBag
    from ssd_perception.core.errors import UserError
    from ssd_perception.core.safe_yaml import YamlError
    from ssd_perception.data.layout import read_split, splits
    from ssd_perception.inference.onnx_file import read_export
    from ssd_perception.inference.weights_file import read_metadata
    from ssd_perception.training.recipe import load_recipe
from recordings import write_recording  # noqa: E402
from small_sets import coco, write_coco, write_voc, write_yolo, xml  # noqa: E402

SLOW_S = 5.0
SETS = {'train': {'a': [('cone', (5, 5, 40, 40)), ('cube', (1, 2, 30, 40))], 'b': []}}
Read = Callable[[bytes], None]
Reader = tuple[Read, list[bytes]]  # what reads, and inputs to begin with


def _file(path: Path, read: Callable[[Path], object]) -> Read:
    def whole(data: bytes) -> None:
        path.write_bytes(data)
        read(path)
    return whole


def _split(root: Path, file: str) -> Read:
    def read(path: Path) -> None:
        splits(root)
        read_split(root, 'train', None, lambda error: None)
    return _file(root / file, read)


def _records(path: Path) -> None:
    with RecoveringBag(path) as bag:
        for record in bag.records():
            if record.type == 'vision_msgs/msg/Detection2DArray':
                try:
                    _ = record.message
                except UserError:
                    pass
        bag.losses()


def _bag(folder: Path, suffix: str) -> Reader:
    storage = 'mcap' if suffix == '.mcap' else 'sqlite3'
    seed = write_recording(folder / 'drive', 2, storage, (16, 16)) / f'drive{suffix}'
    data = seed.read_bytes()
    return _file(folder / f'x{suffix}', _records), [data, data[:-100], data[:len(data) // 2]]


def _weights(folder: Path) -> Reader:
    shipped = (REPO / 'weights/rover.safetensors').read_bytes()
    length = int.from_bytes(shipped[:8], 'little')
    text = json.loads(shipped[8:8 + length])['__metadata__']
    header = json.dumps({'__metadata__': text}).encode()
    small = len(header).to_bytes(8, 'little') + header
    return _file(folder / 'x.safetensors', read_metadata), [small, shipped[:8 + length]]


def _onnx(folder: Path) -> Reader:
    sys.path.insert(0, str(REPO / 'test/inference'))
    from onnx import helper
    from test_hostile_weights import write
    small = write(folder / 'seed.onnx', [helper.make_node('Cast', ['images'], ['a'], to=1)])
    return _file(folder / 'x.onnx', read_export), [small.read_bytes()]


def _voc(folder: Path) -> Reader:
    root = write_voc(folder / 'voc', SETS)
    return _split(root, 'Annotations/a.xml'), [
        xml(SETS['train']['a']).encode(),
        b'<?xml version="1.0" encoding="gb2312"?>' + xml(SETS['train']['a']).encode()]


def _coco(folder: Path) -> Reader:
    root = write_coco(folder / 'coco', SETS)
    return _split(root, 'annotations/instances_train.json'), [
        json.dumps(coco(SETS['train'])).encode()]


def _yolo(folder: Path) -> Reader:
    """Fuzz the description up to the first zero byte, and the labels behind it."""
    root = write_yolo(folder / 'yolo', SETS)
    description, labels = root / 'data.yaml', root / 'train/labels/a.txt'

    def read(data: bytes) -> None:
        first, _, second = data.partition(b'\0')
        labels.write_bytes(second)
        _split(root, 'data.yaml')(first)
    return read, [description.read_bytes() + b'\0' + labels.read_bytes(),
                  b'train: list.txt\nnames: {0: cone}\n\0']


def _recipe(folder: Path) -> Reader:
    return _file(folder / 'x.yaml', load_recipe), [
        path.read_bytes() for path in sorted((REPO / 'config/train').glob('*.yaml'))]


READERS: dict[str, Callable[[Path], Reader]] = {
    'weights': _weights, 'onnx': _onnx, 'mcap': lambda folder: _bag(folder, '.mcap'),
    'sqlite': lambda folder: _bag(folder, '.db3'), 'voc': _voc, 'coco': _coco, 'yolo': _yolo,
    'recipe': _recipe}


def main(name: str, seconds: str, out: str) -> None:
    """Fuzz one reader until the process has had its CPU seconds."""
    found = Path(out)
    (corpus := found / 'corpus').mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix='fuzz_', dir='/dev/shm'))
    read, seeds = READERS[name](folder)
    for number, seed in enumerate(seeds):
        (corpus / f'seed{number}').write_bytes(seed)
    known: set[str] = set()
    inputs = 0

    def end() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        with (found / 'runs.tsv').open('a') as runs:
            runs.write(f'{name}\t{time.process_time():.1f}\t{inputs}\t{len(known)}\n')
        os._exit(0)  # libFuzzer takes any other end for a finding

    def one(data: bytes) -> None:
        nonlocal inputs
        start, where = time.process_time(), ''  # the machine may do other things, too
        if start > float(seconds):
            end()
        inputs += 1
        try:
            read(data)
        except (UserError, YamlError):
            pass
        except Exception as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            where = f'{type(error).__name__}-{Path(last.filename).stem}-{last.lineno}'
            text = traceback.format_exc()
        if (spent := time.process_time() - start) > SLOW_S:
            where, text = f'{where}slow', f'{spent:.1f} s'
        if where and where not in known:
            known.add(where)
            (found / f'{where}.bin').write_bytes(data)
            (found / f'{where}.txt').write_text(text)

    longest = max(map(len, seeds))
    # libFuzzer's own times are wall times: another process, or a pause, makes an input slow.
    atheris.Setup([sys.argv[0], str(corpus), '-timeout=600', '-report_slow_units=600',
                   '-rss_limit_mb=3000', '-verbosity=1', f'-max_len={longest + 1000}',
                   f'-artifact_prefix={found}/'], one)
    try:
        atheris.Fuzz()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == '__main__':
    if len(sys.argv) != 4 or sys.argv[1] not in READERS:
        raise SystemExit(__doc__)
    main(*sys.argv[1:])
