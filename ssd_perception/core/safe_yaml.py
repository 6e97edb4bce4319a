"""Read YAML that somebody handed over: plain values only, in bounded time and memory."""

from __future__ import annotations

import yaml

# A recording's metadata or a recipe has kilobytes; these are never met.
MAX_BYTES = 10_000_000
# What aliases stand for counts each time: nine lines of nine aliases each are 9**9 values.
MAX_VALUES = 1_000_000


class YamlError(ValueError):
    """A text that is no YAML, or more than is read; the message says why, in half a sentence."""


def load_yaml(text: str) -> object:
    """Return what a YAML text holds: dicts, lists, strings, numbers, dates, booleans and None.

    Raises:
        YamlError: for what is no YAML, refers to itself, or has more than ``MAX_BYTES`` or, with
            its aliases written out, ``MAX_VALUES``.
    """
    if len(text) > MAX_BYTES:
        raise YamlError(f'is longer than the {MAX_BYTES} characters that are read')
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is not None and _count(node, {}) > MAX_VALUES:
            raise YamlError(f'stands for more than the {MAX_VALUES} values that are read')
        return None if node is None else loader.construct_document(node)
    except RecursionError as error:
        raise YamlError('is nested too deeply') from error
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # a date such as 2026-99-99
        if isinstance(error, YamlError):
            raise
        raise YamlError(f'is not valid YAML ({" ".join(str(error).split())[:200]})') from error


def _count(node: yaml.Node, known: dict[int, int]) -> int:
    """Return how many values a node stands for; ``known`` holds those of nodes seen before."""
    if id(node) in known:
        if not known[id(node)]:
            raise YamlError('refers to itself')
        return known[id(node)]
    known[id(node)] = 0  # not finished: an alias to it inside of it would never end
    children: list[yaml.Node] = []
    if isinstance(node, yaml.MappingNode):
        children = [child for pair in node.value for child in pair]
    elif isinstance(node, yaml.SequenceNode):
        children = node.value
    known[id(node)] = 1 + sum(_count(child, known) for child in children)
    return known[id(node)]
