"""Build vision_msgs 4.1 from the ROS 2 wheels beside it: pip install --no-build-isolation.

One extension holds the C structures, the Fast DDS type support and the Python converters of all.
"""

import atexit
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import distributions
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

HERE = Path(__file__).parent.resolve()
sys.path.insert(0, str(HERE))  # a build backend does not run setup.py as a script
from generate import (  # noqa: E402
    DEPENDENCIES,
    INTROSPECTION,
    MESSAGES,
    PACKAGE,
    GenerationError,
    find_ros_prefix,
    generate,
)  # fmt: skip

SHARE = f'share/{PACKAGE}'
INDEX = 'share/ament_index/resource_index'
LIBRARIES = [
    *(f'{name}__rosidl_{part}' for name in DEPENDENCIES
      for part in ('generator_c', 'generator_py', 'typesupport_c', 'typesupport_fastrtps_c',
                   'typesupport_introspection_c')),
    'rosidl_runtime_c', 'rosidl_typesupport_c', 'rosidl_typesupport_fastrtps_c',
    'rosidl_typesupport_fastrtps_cpp', 'rosidl_typesupport_introspection_c', 'fastcdr', 'rmw',
    'rcutils',
]  # fmt: skip


def check_compiler() -> None:
    """Raise GenerationError, naming what to install, where the compiler or headers are missing."""
    for variable, default in (('CC', 'gcc'), ('CXX', 'g++')):
        line = os.environ.get(variable) or sysconfig.get_config_var(variable) or default
        command = shlex.split(line)[0]
        if shutil.which(command) is None:
            raise GenerationError(
                f'no {default} here (looked for {command!r}), and vision_msgs is compiled on the '
                'spot: install it with `apt install g++`'
            )
    headers = Path(sysconfig.get_path('include'))
    if not (headers / 'Python.h').is_file():
        raise GenerationError(f'no Python.h in {headers}: `apt install python3-dev`')


class BuildMessages(build_ext):
    """Generate the sources, compile them, put the Python modules beside the extension."""

    def run(self) -> None:
        """Do the whole build, or leave with one sentence that says what is missing."""
        try:
            prefix = find_ros_prefix()
            check_compiler()
            output = Path(self.build_temp).resolve() / 'generated'
            shutil.rmtree(output, ignore_errors=True)  # never mix two generations
            sources, package = generate(HERE, output, prefix)
        except GenerationError as error:
            sys.exit(f'vision_msgs cannot be built: {error}')
        extension = self.extensions[0]
        extension.sources = [str(path) for path in sources]
        extension.include_dirs = [
            str(output), str(output / INTROSPECTION), *self._include_dirs(prefix),
        ]  # fmt: skip
        extension.library_dirs = [str(prefix / 'lib')]
        super().run()
        for folder in ('', 'msg'):
            target = Path(self.build_lib) / PACKAGE / folder
            target.mkdir(parents=True, exist_ok=True)
            for module in sorted((package / folder).glob('*.py')):
                shutil.copy(module, target)
        self._check_import(prefix)
        # .idl and .json lie beside the .msg files, where other packages' generators look for them
        made = [*sorted(package.glob('msg/*.idl')), *sorted(package.glob('msg/*.json'))]
        self.distribution.data_files.append((f'{SHARE}/msg', [str(path) for path in made]))

    def _include_dirs(self, prefix: Path) -> list[str]:
        # headers lie in include/PACKAGE/PACKAGE/..., so every package is its own include folder;
        # those of packages that are not ROS's (fastcdr) lie in include/ itself
        import numpy

        include = prefix / 'include'
        return [str(include), *map(str, sorted(include.iterdir())), numpy.get_include()]

    def build_extension(self, ext: Extension) -> None:
        """Compile the files side by side: there are a hundred small ones."""

        def compile_one(source: str) -> list[str]:
            return self.compiler.compile(
                [source], output_dir=self.build_temp, include_dirs=ext.include_dirs,
                # generated code: its warnings are nobody's to fix here
                extra_postargs=['-O1', '-g0', '-w', '-fvisibility=hidden', '-fPIC'],
                depends=ext.depends,
            )  # fmt: skip

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            objects = [name for names in pool.map(compile_one, ext.sources) for name in names]
        self.compiler.link_shared_object(
            objects, self.get_ext_fullpath(ext.name),
            libraries=LIBRARIES, library_dirs=ext.library_dirs,
            # site-packages/vision_msgs -> the environment's lib
            extra_postargs=['-Wl,-rpath,$ORIGIN/../../..', '-Wl,--enable-new-dtags'],
            target_lang='c++',
        )  # fmt: skip

    def _check_import(self, prefix: Path) -> None:
        # A missing symbol shows only when the extension is loaded: load it now, not on the robot.
        libraries = [prefix / 'lib', *prefix.glob('lib/python3*/site-packages/ros_*.libs')]
        environment = {
            **os.environ,
            'LD_LIBRARY_PATH': ':'.join(map(str, libraries)),
            '_ROS_WHEELS_BOOTSTRAP_COMPLETE': '1',  # the path above is already complete
            'PYTHONPATH': ':'.join([str(Path(self.build_lib).resolve()), *filter(None, sys.path)]),
        }
        program = (
            'import vision_msgs.msg as m, vision_msgs.vision_msgs_s__rosidl_typesupport_c\n'
            f'for name in {MESSAGES!r}:\n'
            '    getattr(m, name).__class__.__import_type_support__()\n'
            '    assert getattr(m, name).__class__._TYPE_SUPPORT, name + " has no type support"\n'
        )
        command = [sys.executable, '-c', program]
        if subprocess.run(command, env=environment, cwd=self.build_temp).returncode:
            sys.exit('vision_msgs was compiled but cannot be imported: the error above says why')


def wheels_built_against() -> list[str]:
    """Return the pins of what makes our libraries loadable: rclpy, middleware, messages.

    A jazzy extension crashes beside kilted's libraries, so the pins are those of this environment.
    """
    ours = re.compile('ros-[a-z]+-(rclpy|rmw-fastrtps-cpp|geometry-msgs|std-msgs)')
    return sorted(
        f'{found.name}=={found.version}' for found in distributions()
        if ours.fullmatch(found.name or '')
    )  # fmt: skip


# pip builds in the source folder: keep that clean, and every build apart from the one before
scratch = tempfile.mkdtemp(prefix='vision_msgs-')
atexit.register(shutil.rmtree, scratch, ignore_errors=True)

setup(
    name=PACKAGE,
    version='4.1.1',
    description='The vision_msgs 4.1 messages for machines whose ROS 2 comes from pip',
    license='Apache-2.0',
    python_requires='>=3.10',
    packages=[],  # the modules are generated; BuildMessages puts them into the wheel
    ext_modules=[Extension(f'{PACKAGE}.{PACKAGE}_s__rosidl_typesupport_c', sources=[])],
    cmdclass={'build_ext': BuildMessages},
    install_requires=wheels_built_against(),
    options={'build': {'build_base': scratch}, 'egg_info': {'egg_base': scratch}},
    data_files=[
        (SHARE, ['package.xml']),
        (f'{SHARE}/msg', [f'msg/{name}.msg' for name in MESSAGES]),
        (f'{INDEX}/packages', ['resource/packages/vision_msgs']),
        (f'{INDEX}/rosidl_interfaces', ['resource/rosidl_interfaces/vision_msgs']),
    ],
)
