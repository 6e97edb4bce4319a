"""Turn the .msg files into C, C++ and Python sources with the rosidl generators of the wheels.

The same chain as ament_cmake's, called directly: .msg -> .idl -> type description (with its RIHS01
hash) -> C structures -> Fast DDS and introspection type support -> Python classes and converters.
"""

import json
import re
from pathlib import Path

PACKAGE = 'vision_msgs'
INTROSPECTION = 'introspection'  # folder below the output, to include from too

# Named here, not globbed: a generator given a wrong folder writes nothing and still succeeds.
MESSAGES = (
    'BoundingBox2D', 'BoundingBox2DArray', 'BoundingBox3D', 'BoundingBox3DArray',
    'Classification', 'Detection2D', 'Detection2DArray', 'Detection3D', 'Detection3DArray',
    'LabelInfo', 'ObjectHypothesis', 'ObjectHypothesisWithPose', 'Point2D', 'Pose2D',
    'VisionClass', 'VisionInfo',
)  # fmt: skip

# What the middleware asks a message for: Fast DDS to send it, introspection because Jazzy's rmw
# describes each type to DDS through it. The generated C type support would look for each in a
# library of its own; all of ours is one extension, so this hands out what lies in it.
TYPE_SUPPORTS = ('rosidl_typesupport_fastrtps_c', 'rosidl_typesupport_introspection_c')
HANDLE = '{kind}__get_message_type_support_handle__{package}__msg__{name}'
TYPE_SUPPORT_C = """\
#include <string.h>
#include <rosidl_runtime_c/message_type_support_struct.h>
#include <rosidl_typesupport_c/identifier.h>

typedef const rosidl_message_type_support_t * Handle;

static Handle find(Handle asked, const char * kind) {
  for (int i = 0; i < 2; ++i) {
    Handle found = (Handle)((const void * const *)asked->data)[i];
    if (strcmp(found->typesupport_identifier, kind) == 0) { return found; }
  }
  return strcmp(asked->typesupport_identifier, kind) == 0 ? asked : 0;
}
"""
MESSAGE_TYPE_SUPPORT_C = """
Handle {fastrtps}(void);
Handle {introspection}(void);
__attribute__((visibility("default"))) Handle {both}(void) {{
  static const void * handles[2];
  static rosidl_message_type_support_t handle;
  handles[0] = {fastrtps}();
  handles[1] = {introspection}();
  handle = *(Handle)handles[0];  // for its hash and description
  handle.typesupport_identifier = rosidl_typesupport_c__typesupport_identifier;
  handle.data = handles;
  handle.func = find;
  return &handle;
}}
"""

# Packages whose type descriptions and libraries ours refer to.
DEPENDENCIES = ('std_msgs', 'geometry_msgs', 'builtin_interfaces')


class GenerationError(Exception):
    """The sources could not be generated; the message says why in one sentence."""


def find_ros_prefix() -> Path:
    """Return the folder that holds the wheels' share/, include/ and lib/."""
    try:
        import rosidl_generator_c
    except ImportError as error:
        raise GenerationError(
            f'the ROS 2 wheels are missing ({error}): install one of tools/ros_from_pip/*.txt '
            'first, and build with --no-build-isolation'
        ) from error
    # Searched upwards, because lib/python3.x/site-packages is not the layout of every Python.
    for folder in Path(rosidl_generator_c.__file__).resolve().parents:
        if (folder / 'share' / 'rosidl_generator_c' / 'resource').is_dir():
            return folder
    raise GenerationError(f'no share/rosidl_generator_c above {rosidl_generator_c.__file__}')


def snake_case(name: str) -> str:
    """Return the file name the generators give to a message: Point2D -> point2_d."""
    name = re.sub('(.)([A-Z][a-z]+)', r'\1_\2', name)
    return re.sub('([a-z0-9])([A-Z])', r'\1_\2', name).lower()


def _type_support() -> str:
    """Return the C file through which the middleware finds the type supports of each message."""
    parts = [TYPE_SUPPORT_C]
    for name in MESSAGES:
        fastrtps, introspection, both = (
            HANDLE.format(kind=kind, package=PACKAGE, name=name)
            for kind in (*TYPE_SUPPORTS, 'rosidl_typesupport_c')
        )
        parts.append(MESSAGE_TYPE_SUPPORT_C.format(
            fastrtps=fastrtps, introspection=introspection, both=both))  # fmt: skip
    return ''.join(parts)


def generate(source: Path, output: Path, prefix: Path) -> tuple[list[Path], Path]:
    """Generate everything below output/vision_msgs.

    Returns the C and C++ files to compile, and the folder that holds the Python package.
    """
    from rosidl_adapter.msg import convert_msg_to_idl
    from rosidl_cli.command.helpers import generate_visibility_control_file
    from rosidl_generator_c import generate_c
    from rosidl_generator_py.generate_py_impl import generate_py
    from rosidl_generator_type_description import generate_type_hash
    from rosidl_typesupport_fastrtps_c import generate_typesupport_fastrtps_c
    from rosidl_typesupport_introspection_c import generate_c as generate_introspection_c

    found = {path.stem for path in (source / 'msg').glob('*.msg')}
    if found != set(MESSAGES):
        differing = ', '.join(sorted(found ^ set(MESSAGES)))
        raise GenerationError(f'msg/ and the list in generate.py differ in {differing}')

    package = output / PACKAGE
    (package / 'msg').mkdir(parents=True, exist_ok=True)
    for name in MESSAGES:
        convert_msg_to_idl(source, PACKAGE, Path('msg') / f'{name}.msg', package / 'msg')

    def arguments(generator: str, **more) -> str:
        """Write the JSON file that a generator reads its inputs from; return its path."""
        path = output / f'{generator}.json'
        path.write_text(json.dumps({
            'package_name': PACKAGE,
            'output_dir': str(package),
            'template_dir': str(prefix / 'share' / generator / 'resource'),
            'idl_tuples': [f'{package}:msg/{name}.idl' for name in MESSAGES],
            'ros_interface_dependencies': [],
            'target_dependencies': [],
            **more,
        }))  # fmt: skip
        return str(path)

    generate_type_hash(
        arguments(
            'rosidl_generator_type_description',
            include_paths=[f'{name}:{prefix / "share" / name}' for name in DEPENDENCIES],
        )
    )
    generate_c(
        arguments(
            'rosidl_generator_c',
            type_description_tuples=[
                f'msg/{name}.idl:{package}/msg/{name}.json' for name in MESSAGES
            ],
            # the text a type description service shows is the .msg, not the .idl made from it
            ros_interface_files=[str(source / 'msg' / f'{name}.msg') for name in MESSAGES],
        )
    )
    generate_typesupport_fastrtps_c(arguments('rosidl_typesupport_fastrtps_c'))
    # A folder of its own: it names its files as the C generator does.
    introspection = output / INTROSPECTION / PACKAGE
    generate_introspection_c(
        arguments('rosidl_typesupport_introspection_c', output_dir=str(introspection))
    )
    type_support = package / 'type_support.c'
    type_support.write_text(_type_support())
    generate_py(arguments('rosidl_generator_py'), ['rosidl_typesupport_c'])
    (package / '__init__.py').touch()
    for generator in ('rosidl_generator_c', *TYPE_SUPPORTS):
        header = f'{generator}__visibility_control.h'
        generate_visibility_control_file(
            package_name=PACKAGE,
            template_path=str(prefix / 'share' / generator / 'resource' / f'{header}.in'),
            output_path=str(package / 'msg' / header),
        )

    sources = [package / f'_{PACKAGE}_s.ep.rosidl_typesupport_c.c', type_support]
    for stem in map(snake_case, MESSAGES):
        msg, detail = package / 'msg', package / 'msg' / 'detail'
        sources += [
            detail / f'{stem}__description.c',
            detail / f'{stem}__functions.c',
            detail / f'{stem}__type_support.c',
            detail / f'{stem}__type_support_c.cpp',
            introspection / 'msg' / 'detail' / f'{stem}__type_support.c',
            msg / f'_{stem}_s.c',
        ]
    expected = sources + [package / 'msg' / f'_{snake_case(name)}.py' for name in MESSAGES]
    missing = [path.name for path in expected if not path.is_file()]
    if missing:
        raise GenerationError(f'the generators left out {", ".join(missing)}')
    return sources, package
