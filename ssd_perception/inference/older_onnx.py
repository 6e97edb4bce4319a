"""Rewrite an exported network in the form that old releases of OpenCV read as well.

Three things keep OpenCV 4.5.4 to 4.6 from reading our files: kernels in fp16, Identity between a
kernel and a second layer that uses it, and Clip with its bounds as inputs. The rewritten network
computes the same numbers. A robot has no package ``onnx``, so this works on the protobuf fields.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ssd_perception.inference.onnx_file import fields

# onnx.proto: numbers of the fields, and of the element types.
_GRAPH = 7  # of ModelProto
_NODE, _INITIALIZER = 1, 5  # of GraphProto
_INPUT, _OUTPUT, _OP_TYPE, _ATTRIBUTE = 1, 2, 4, 5  # of NodeProto
_ATTRIBUTE_NAME, _ATTRIBUTE_F, _ATTRIBUTE_T, _ATTRIBUTE_TYPE = 1, 2, 5, 20  # of AttributeProto
_DIMS, _DATA_TYPE, _TENSOR_NAME, _RAW_DATA = 1, 2, 8, 9  # of TensorProto
_FLOAT, _FLOAT16 = 1, 10

_Fields = list[tuple[int, 'bytes | memoryview | int']]


def older_form(path: Path) -> bytes:
    """Return the model in ``path`` without fp16, shared kernels and bounds as inputs.

    Args:
        path: a file that ``read_export`` has accepted.

    Raises:
        ValueError: when it is no such model; the message says what is wrong.
    """
    model: _Fields = list(fields(memoryview(path.read_bytes())))
    return _message((field, _rewritten_graph(value))
                    if field == _GRAPH and not isinstance(value, int) else (field, value)
                    for field, value in model)


def _rewritten_graph(graph: memoryview | bytes) -> bytes:
    rows = list(fields(memoryview(graph)))
    kernels = {_text(value, _TENSOR_NAME): value for field, value in rows
               if field == _INITIALIZER and not isinstance(value, int)}
    bounds: dict[str, memoryview] = dict(kernels)  # and Constant nodes
    same: dict[str, str] = {}  # what Identity calls a kernel: its own name
    widened: dict[str, bytes] = {}
    nodes: list[bytes] = []
    for field, value in rows:
        if field != _NODE or isinstance(value, int):
            continue
        inputs, outputs = _texts(value, _INPUT), _texts(value, _OUTPUT)
        kind = _text(value, _OP_TYPE)
        source = inputs[0] if inputs else ''
        if kind == 'Cast' and source in kernels and _data_type(kernels[source]) == _FLOAT16:
            widened[outputs[0]] = _widened(kernels[source], outputs[0])
        elif kind == 'Identity' and (source in kernels or source in widened or source in same):
            same[outputs[0]] = same.get(source, source)
        else:
            if kind == 'Constant' and outputs:
                bounds[outputs[0]] = _constant(value)
            nodes.append(_rewritten_node(value, kind, same, bounds))
    kept: _Fields = [(_NODE, node) for node in nodes]
    kept += [(_INITIALIZER, tensor) for tensor in widened.values()]
    kept += [(field, value) for field, value in rows if field != _NODE and not (
        field == _INITIALIZER and not isinstance(value, int) and _data_type(value) == _FLOAT16)]
    return _message(kept)


def _rewritten_node(node: memoryview, kind: str, same: dict[str, str],
                    bounds: dict[str, memoryview]) -> bytes:
    """Return a node with its kernels' own names, a Clip with its bounds as attributes."""
    rows: _Fields = [(field, same.get(_utf8(value), _utf8(value)).encode())
                     if field == _INPUT and not isinstance(value, int) else (field, value)
                     for field, value in fields(node)]
    inputs = _texts(node, _INPUT)
    if kind == 'Clip' and len(inputs) == 3 and all(name in bounds for name in inputs[1:]):
        rest = [row for row in rows if row[0] != _INPUT]
        rows = [row for row in rows if row[0] == _INPUT][:1] + rest
        rows += [(_ATTRIBUTE, _float_attribute(name, _raw(bounds[tensor], 4)))
                 for name, tensor in zip(('min', 'max'), inputs[1:])]
    return _message(rows)


def _constant(node: memoryview) -> memoryview:
    """Return the tensor of a Constant node; empty where it holds something else."""
    for field, attribute in fields(node):
        if field == _ATTRIBUTE and not isinstance(attribute, int):
            for part, tensor in fields(attribute):
                if part == _ATTRIBUTE_T and not isinstance(tensor, int):
                    return tensor
    return memoryview(b'')


def _widened(tensor: memoryview, name: str) -> bytes:
    """Return an fp16 tensor as fp32, under another name."""
    values = np.frombuffer(_raw(tensor), '<f2').astype('<f4')
    dims: _Fields = [row for row in fields(tensor) if row[0] == _DIMS]
    return _message([*dims, (_DATA_TYPE, _FLOAT), (_TENSOR_NAME, name.encode()),
                     (_RAW_DATA, values.tobytes())])


def _float_attribute(name: str, raw: bytes) -> bytes:
    # 5 is the wire type of four bytes as they are.
    return _message([(_ATTRIBUTE_NAME, name.encode())]) + _varint(_ATTRIBUTE_F << 3 | 5) + raw \
        + _message([(_ATTRIBUTE_TYPE, 1)])  # FLOAT


def _raw(tensor: memoryview, length: int | None = None) -> bytes:
    for field, value in fields(tensor):
        if field == _RAW_DATA and not isinstance(value, int) and length in (None, len(value)):
            return bytes(value)
    raise ValueError('a tensor of it does not hold its numbers as raw_data, as ours do')


def _data_type(tensor: memoryview) -> int:
    for field, value in fields(tensor):
        if field == _DATA_TYPE and isinstance(value, int):
            return value
    return 0


def _text(message: memoryview, number: int) -> str:
    return next(iter(_texts(message, number)), '')


def _texts(message: memoryview, number: int) -> list[str]:
    return [_utf8(value) for field, value in fields(message)
            if field == number and not isinstance(value, int)]


def _utf8(value: memoryview | bytes) -> str:
    return bytes(value).decode()


def _message(rows: Iterable[tuple[int, bytes | memoryview | int]]) -> bytes:
    """Return a protobuf message of numbers and of bytes; floats occur at no level used here."""
    parts: list[bytes | memoryview] = []
    for field, value in rows:
        if isinstance(value, int):
            parts += [_varint(field << 3), _varint(value)]
        else:
            parts += [_varint(field << 3 | 2), _varint(len(value)), value]
    return b''.join(parts)


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    found.append(value)
    return bytes(found)
