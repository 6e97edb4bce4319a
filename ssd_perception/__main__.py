"""`python -m ssd_perception VERB`, also the executable `ssd_perception`: find the verb, run it."""

from __future__ import annotations

import argparse
import ast
import difflib
import importlib
import importlib.util
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from ssd_perception.core.errors import UserError, describe_lack_of_memory, describe_os_error
from ssd_perception.core.missing_module import describe_missing
from ssd_perception.core.text import one_line, printable

# Verb -> module with `add_arguments(parser)`, `run(args) -> int` and a one-line docstring.
# Only the chosen one is imported: training needs no ROS, playing a recording no torch.
VERBS = {
    'demo': 'ssd_perception.cli.demo',
    'play': 'ssd_perception.cli.play',
    'view': 'ssd_perception.cli.view',
    'check_data': 'ssd_perception.cli.check_data',
    'train': 'ssd_perception.cli.train',
    'evaluate': 'ssd_perception.cli.evaluate',
    'export': 'ssd_perception.cli.export',
    'import_torchvision': 'ssd_perception.cli.import_torchvision',
    'detect': 'ssd_perception.cli.detect',
    'replay': 'ssd_perception.cli.replay',
    'bag_to_voc': 'ssd_perception.cli.bag_to_voc',
    'publish': 'ssd_perception.cli.publish',
    'benchmark': 'ssd_perception.cli.benchmark',
}

BAD_USAGE = 2
FAILED = 1
INTERRUPTED = 130  # what a shell reports for a command that Ctrl-C ended


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; return its exit code.

    Returns:
        0 for success; 1 when the verb failed and 2 when its arguments are wrong, both with one
        sentence on stderr; 130 after Ctrl-C.

    Raises:
        Exception: anything but a UserError or an OSError is a bug of the package, and its
            traceback is shown. With SSD_PERCEPTION_TRACEBACK set in the environment every error
            is raised.
    """
    _open_standard_files()
    words = list(sys.argv[1:] if arguments is None else arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):  # names of files may be in any encoding
        sys.stdout.reconfigure(errors='backslashreplace')
    if not words or words[0] in ('-h', '--help'):
        print(_usage(), end='')
        return 0 if words else BAD_USAGE
    if words[0] == '--version':
        from ssd_perception import __version__
        print(f'ssd_perception {__version__}')
        return 0
    verb = words[0]
    if verb not in VERBS:
        near = difflib.get_close_matches(verb, VERBS, 1)
        hint = f'did you mean "{near[0]}"?' if near else f'there are {", ".join(VERBS)}.'
        print(f'ssd_perception: there is no verb "{printable(verb)}"; {hint}', file=sys.stderr)
        return BAD_USAGE
    try:
        return _run(verb, words[1:])
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output (head, less) has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        sentence = _sentence(error)
        if not sentence or os.environ.get('SSD_PERCEPTION_TRACEBACK'):
            raise
        print(f'ssd_perception {verb}: {sentence}', file=sys.stderr)
        return FAILED


def _open_standard_files() -> None:
    """Open what the caller has closed of them: else a file of results is opened in its place,
    and gets what libraries print.
    """
    for number, name in enumerate(('stdin', 'stdout', 'stderr')):
        try:
            os.fstat(number)
        except OSError:
            os.dup2(os.open(os.devnull, os.O_RDWR), number)
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, 'w' if number else 'r'))


def _run(verb: str, words: list[str]) -> int:
    module = importlib.import_module(VERBS[verb])
    parser = _Parser(prog=f'ssd_perception {verb}', description=module.__doc__)
    module.add_arguments(parser)
    # What follows --ros-args belongs to rclpy (remaps, parameters), as for every ROS node.
    split = words.index('--ros-args') if '--ros-args' in words else len(words)
    args = parser.parse_args(words[:split])
    args.ros_args = words[split:]
    return module.run(args)


class _Parser(argparse.ArgumentParser):
    """Prints a mistake in one line, without the usage; --help prints that."""

    def error(self, message: str) -> NoReturn:
        self.exit(BAD_USAGE, f'{self.prog}: {one_line(message)}; see {self.prog} --help\n')


def _usage() -> str:
    width = max(map(len, VERBS)) + 2
    rows = ''.join(f'  {verb:<{width}}{_docstring(module)}\n' for verb, module in VERBS.items())
    return ('usage: ssd_perception VERB [arguments]\n\n'
            f"{rows}\nssd_perception VERB --help lists a verb's arguments.\n")


def _docstring(module: str) -> str:
    """Read a module's docstring without running it: its imports may be absent, or slow."""
    spec = importlib.util.find_spec(module)
    assert spec and spec.origin  # one of our own verbs
    text = ast.get_docstring(ast.parse(Path(spec.origin).read_text(encoding='utf-8')))
    return (text or '').partition('\n')[0]


def _sentence(error: Exception) -> str:
    """Return the message for the user; empty for a fault of the package."""
    if isinstance(error, ModuleNotFoundError) and (missing := describe_missing(error)):
        return missing
    # Names of files in it may hold what no terminal should get.
    if isinstance(error, UserError):
        return one_line(f'{error}{error.hint}', 5000)
    if isinstance(error, OSError):
        return one_line(describe_os_error(error), 5000)
    return one_line(describe_lack_of_memory(error))


if __name__ == '__main__':
    sys.exit(main())
