#!/usr/bin/env bash
# Check and measure this package on a machine with a CUDA GPU; writes one JSON file.
#
#   tools/check_gpu.sh [--quick] [--parts PART ...] [--out OUT.json]
#
# --quick measures fewer calls and steps; on an H200 with slow cores its latency part took 40 s, and
# tests and training more than 75 s (training had 152 steps then and has 66 now). The JSON is written
# after every test, round and row, so a run that is cut off leaves what it had.
#
# It needs a python3 with torch, torchvision, OpenCV, NumPy, safetensors, PyYAML, tqdm,
# matplotlib, tensorboard, pycocotools and pytest; onnx and onnxruntime-gpu are used where they
# are installed. PYTHON chooses another interpreter. `DEVICE=cpu` rehearses it without a GPU.
set -euo pipefail
cd "$(dirname "$0")/.."
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"
exec "${PYTHON:-python3}" tools/check_gpu.py "$@"
