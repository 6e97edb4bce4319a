"""Read the metadata of an exported file without loading the network in it."""

from __future__ import annotations

import functools
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ssd_perception.core.metadata import (
    KEY,
    MAX_FILE_BYTES,
    MAX_JSON_BYTES,
    Metadata,
    WeightsError,
    build,
)
from ssd_perception.core.safe_path import open_regular, read_file
from ssd_perception.core.text import printable

EXPORT_KEY = 'ssd_perception.export'  # beside KEY in the metadata of ONNX
# Raised when the graph changes in a way that makes older files wrong or slow: they are refused
# beside weights and made anew in the cache.
EXPORT_VERSION = 1
MAX_ENTRIES = 100
_BLOCK = 1 << 20
MAX_NODES = 20_000
# What exported networks of this package consist of. Others, and graphs inside of nodes (Loop, If,
# Scan), could run for ever or fill the memory.
OPERATORS = frozenset((
    'Add', 'Cast', 'Clip', 'Concat', 'Constant', 'Conv', 'DequantizeLinear', 'Div',
    'GlobalAveragePool', 'HardSigmoid', 'HardSwish', 'Identity', 'MaxPool', 'Mul',
    'QuantizeLinear', 'ReduceL2', 'Relu', 'Reshape', 'Resize', 'Sigmoid', 'Sub', 'Transpose'))

# onnx.proto: numbers of the fields that are looked at.
_GRAPH, _METADATA_PROPS, _TRAINING, _FUNCTIONS = 7, 14, 20, 25  # of ModelProto
_NODE, _INITIALIZER = 1, 5  # of GraphProto
_INPUT, _OUTPUT, _OP_TYPE, _ATTRIBUTE, _DOMAIN = 1, 2, 4, 5, 7  # of NodeProto
_TENSOR_NAME = 8  # of TensorProto
# By their further inputs they change the shape of the first. A shape that followed from an image
# could fill the memory with the right one, long after the network was tried.
_RESHAPING = frozenset(('Reshape', 'Resize'))
_SPARSE_INITIALIZER = 15
_ATTRIBUTE_GRAPHS = (6, 11)  # of AttributeProto: one graph, and several
_ATTRIBUTE_TENSORS = (5, 10)  # one tensor, and several
_ATTRIBUTE_SPARSE = (22, 23)
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14  # of TensorProto
_ENTRY_KEY, _ENTRY_VALUE = 1, 2  # of StringStringEntryProto
_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5

# First bytes of the tags of what is looked at in an attribute.
_LOOKED_AT = tuple(bytes([(field << 3 | _LENGTH) & 127 | (field > 15) << 7]) for field in (
    *_ATTRIBUTE_GRAPHS, *_ATTRIBUTE_TENSORS, *_ATTRIBUTE_SPARSE))


@dataclass(frozen=True)
class ExportInfo:
    """Where an exported file comes from.

    Attributes:
        version: ``EXPORT_VERSION`` of the exporter.
        weights_sha256: of the .safetensors file it was made from.
        precision: ``fp32`` or ``int8``.
        calibration: int8 only: what it was calibrated on and what that cost, for people.
    """

    version: int
    weights_sha256: str
    precision: str
    calibration: dict

    def to_json(self) -> str:
        """Return the JSON that ``read_export`` reads."""
        return json.dumps(vars(self))


@dataclass(frozen=True)
class ExportedFile:
    """An exported file that has been found to be ours; see ``read_export``."""

    path: Path
    metadata: Metadata
    info: ExportInfo


def sha256_of(path: str | os.PathLike) -> str:
    """Return the SHA-256 of a file, hexadecimal; read again only where the file has changed."""
    state = os.stat(path)
    return _sha256(os.fspath(path), state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns,
                   state.st_ctime_ns)


@functools.lru_cache(maxsize=100)
def _sha256(path: str, *state: int) -> str:
    digest = hashlib.sha256()
    with open(path, 'rb', opener=open_regular) as file:
        for _ in range(1 + MAX_FILE_BYTES // _BLOCK):  # it may grow meanwhile
            if not (block := file.read(_BLOCK)):
                break
            digest.update(block)
    return digest.hexdigest()


def read_export(path: Path) -> ExportedFile:
    """Read and check the metadata of an exported file.

    Raises:
        WeightsError: when it is no ONNX file, not one of this package, or of another version of
            it; one sentence that names the file and says what to do.
    """
    try:
        entries = _metadata_props(path)
    except (OSError, ValueError) as error:
        raise WeightsError(f'{path} is not an ONNX file that can be used ({error}); it may be '
                           'truncated or of another kind.') from error
    if KEY not in entries or EXPORT_KEY not in entries:
        raise WeightsError(f'{path} is an ONNX file without "{KEY}" metadata: it was not made by '
                           '`ssd_perception export`.')
    try:
        metadata = Metadata.from_json(entries[KEY])
        info = build(ExportInfo, json.loads(entries[EXPORT_KEY]), '')
    except (ValueError, RecursionError) as error:
        raise WeightsError(f'{path}: {error}') from error
    if info.version != EXPORT_VERSION:
        raise WeightsError(f'{path} was exported by another version of this package (format '
                           f'{info.version}, not {EXPORT_VERSION}); export it again.')
    if info.precision not in ('fp32', 'int8'):
        raise WeightsError(f'{path}: "precision" must be fp32 or int8, got '
                           f'"{info.precision[:20]}".')
    return ExportedFile(path, metadata, info)


def _metadata_props(path: Path) -> dict[str, str]:
    """Return ModelProto.metadata_props of a file whose graph holds nothing but our operators.

    A robot has a runtime but not the package ``onnx``, and the runtimes say what a file holds
    only after they have loaded and optimised a network that may be foreign, or hostile.

    Raises:
        ValueError: when the file is no protobuf message, has absurdly much metadata, or a graph
            that no export of this package has.
    """
    size = path.stat().st_size
    if not 0 < size <= MAX_FILE_BYTES:
        raise ValueError(f'it has {size} bytes, and at most {MAX_FILE_BYTES} are read')
    entries: dict[str, str] = {}
    for field, value in fields(memoryview(read_file(path, MAX_FILE_BYTES))):
        if field == _METADATA_PROPS and not isinstance(value, int):
            if len(value) > MAX_JSON_BYTES + 1000 or len(entries) >= MAX_ENTRIES:
                raise ValueError('its metadata are larger than any of this package')
            texts = {key: bytes(text).decode() for key, text in fields(value)
                     if key in (_ENTRY_KEY, _ENTRY_VALUE) and not isinstance(text, int)}
            entries[texts.get(_ENTRY_KEY, '')] = texts.get(_ENTRY_VALUE, '')
        elif field == _GRAPH and not isinstance(value, int):
            _check_graph(value)
        elif field in (_FUNCTIONS, _TRAINING):
            raise ValueError('it defines functions of its own, or how to train it, which no '
                             'export of this package does')
    return entries


def _check_graph(graph: memoryview) -> None:
    """Refuse a graph with operators, sub-graphs or outside data that no export of ours has."""
    nodes = 0
    constants, shapes = {b''}, set()  # names; an optional input that is left out has none
    for field, value in fields(graph):
        if isinstance(value, int):
            continue
        if field == _NODE:
            nodes += 1
            if nodes > MAX_NODES:
                raise ValueError(f'it has more than {MAX_NODES} nodes')
            kind, inputs, outputs = _check_node(value)
            if kind in _RESHAPING:
                shapes.update(inputs[1:])
            elif kind == 'Constant':
                constants.update(outputs)
        elif field == _INITIALIZER:
            constants.add(_check_tensor(value))
        elif field == _SPARSE_INITIALIZER:
            raise ValueError('it holds sparse tensors, which no export of this package does')
    if not shapes <= constants:
        raise ValueError('it computes a shape while it runs, which no export of this package does')


def _check_tensor(tensor: memoryview) -> bytes:
    """Return its name."""
    name = b''
    for part, content in fields(tensor):
        if part == _EXTERNAL_DATA or (part == _DATA_LOCATION and content):
            raise ValueError('it keeps data in other files')
        if part == _TENSOR_NAME and not isinstance(content, int):
            name = bytes(content)
    return name


def _check_node(node: memoryview) -> tuple[str, list[bytes], list[bytes]]:
    """Return its operator, and the names of its inputs and outputs."""
    name, domain = '', ''
    inputs: list[bytes] = []
    outputs: list[bytes] = []
    for field, value in fields(node):
        if isinstance(value, int):
            continue
        if field == _INPUT:
            inputs.append(bytes(value))
        elif field == _OUTPUT:
            outputs.append(bytes(value))
        elif field == _OP_TYPE:
            name = bytes(value[:100]).decode()
        elif field == _DOMAIN:
            domain = bytes(value[:100]).decode()
        elif field == _ATTRIBUTE:
            _check_attribute(value)
    if name not in OPERATORS or domain not in ('', 'ai.onnx'):
        raise ValueError(f'it has the operator "{printable(f"{domain} {name}".strip(), 60)}", '
                         'which no export of this package has')
    return name, inputs, outputs


def _check_attribute(attribute: memoryview) -> None:
    content = bytes(attribute)
    # Most have none of these tags; this check is a hundred times faster.
    if not any(tag in content for tag in _LOOKED_AT):
        return
    for part, value in fields(attribute):
        if part in _ATTRIBUTE_GRAPHS:
            raise ValueError('a node of it holds a graph of its own, as loops do')
        if part in _ATTRIBUTE_SPARSE:
            raise ValueError('it holds sparse tensors, which no export of this package does')
        if part in _ATTRIBUTE_TENSORS and not isinstance(value, int):
            _check_tensor(value)


def fields(message: memoryview) -> Iterator[tuple[int, memoryview | int]]:
    """Yield number and content of the fields of a protobuf message, in their order.

    Raises:
        ValueError: when it is none.
    """
    place = 0
    while place < len(message):
        tag, place = _varint(message, place)
        field, kind = divmod(tag, 8)
        if field == 0:
            raise ValueError('a field has the number 0')
        if kind == _VARINT:
            value, place = _varint(message, place)
            yield field, value
            continue
        if kind == _LENGTH:
            length, place = _varint(message, place)
        elif kind in (_FIXED32, _FIXED64):
            length = 4 if kind == _FIXED32 else 8
        else:
            raise ValueError(f'wire type {kind} does not occur in ONNX')
        if place + length > len(message):
            raise ValueError('a field reaches beyond its end')
        yield field, message[place:place + length]
        place += length


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    """Return the number at ``place`` and the place behind it."""
    if place < len(message) and message[place] < 128:  # nearly all
        return message[place], place + 1
    value = 0
    for shift in range(0, 70, 7):
        if place >= len(message):
            raise ValueError('it ends within a number')
        byte = message[place]
        place += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, place
    raise ValueError('a number is too long')
