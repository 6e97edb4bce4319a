"""Other detectors with random weights: their times count, their detections mean nothing."""

from __future__ import annotations

import importlib.util
import io
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ssd_perception.benchmark.entries import Entry
from ssd_perception.benchmark.results import Facts

if TYPE_CHECKING:
    from torch.nn import Module

SCORE_THRESHOLD = 0.5  # random scores lie below; a lower one would fill NMS with noise
CLASSES = 91  # COCO's, as these networks are published
YOLO_INPUT = 320


def torchvision_baselines(class_count: int) -> list[Entry]:
    """Return SSD300-VGG16, SSDlite320 and RetinaNet in torch, fp32, on the CPU.

    Args:
        class_count: of our weights; a second SSDlite320 has as many classes.
    """
    from torchvision.models import detection

    bare: dict[str, Any] = dict(weights=None, weights_backbone=None, score_thresh=SCORE_THRESHOLD)
    networks = [
        ('SSDlite320-MobileNetV3', detection.ssdlite320_mobilenet_v3_large, CLASSES, '320x320', 1),
        (f'SSDlite320-MobileNetV3, {class_count} classes',
         detection.ssdlite320_mobilenet_v3_large, class_count + 1, '320x320', 1),
        ('SSD300-VGG16', detection.ssd300_vgg16, CLASSES, '300x300', 2),
        ('RetinaNet-R50', detection.retinanet_resnet50_fpn, CLASSES, '800 and up', 5)]
    return [_torchvision(name, build(num_classes=classes, **bare), size, every)
            for name, build, classes, size, every in networks]


def _torchvision(name: str, model: Module, size: str, every: int) -> Entry:
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    model.eval()

    @torch.inference_mode()
    def call(image: np.ndarray) -> dict[str, float]:
        start = time.perf_counter()
        # The usual way: planes of float from 0 to 1. The model resizes and normalises itself.
        model([torch.from_numpy(image).permute(2, 0, 1).float() / 255])
        return {'call': (time.perf_counter() - start) * 1e3}
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model([torch.rand(3, 480, 640)])
    return Entry(f'{name} torch fp32', 'baseline', call, Facts(
        'torch', 'fp32', input=size, score_threshold=SCORE_THRESHOLD,
        gflop=counter.get_total_flops() / 1e9), every)


def yolo_baselines(runtimes: Sequence[str], threads: int,
                   log: Callable[[str], object]) -> list[Entry]:
    """Return YOLO11n's network without its postprocessing, where ultralytics is installed."""
    if importlib.util.find_spec('ultralytics') is None:
        log('YOLO11n is left out: ultralytics is not installed.')
        return []
    import torch
    from torch.utils.flop_counter import FlopCounterMode
    from ultralytics.nn.tasks import DetectionModel

    model = DetectionModel('yolo11n.yaml', verbose=False).fuse(verbose=False).eval()
    pixels = torch.rand(1, 3, YOLO_INPUT, YOLO_INPUT)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(pixels)
    for layer in model.modules():
        if hasattr(layer, 'export'):
            layer.export, layer.format = True, 'onnx'
    buffer = io.BytesIO()
    torch.onnx.export(
        model, (pixels,), buffer,  # type: ignore[arg-type]  # tracing takes a buffer too
        input_names=['images'], output_names=['boxes'], opset_version=17, dynamo=False)
    made = {'onnxruntime': _onnxruntime, 'openvino': _openvino}
    found = []
    for runtime in runtimes:
        if runtime in made and importlib.util.find_spec(runtime):
            run = made[runtime](buffer.getvalue(), threads)
            found.append(Entry(f'YOLO11n network {runtime} fp32', 'network', _timed(run), Facts(
                runtime, 'fp32', input=f'{YOLO_INPUT}x{YOLO_INPUT}',
                gflop=counter.get_total_flops() / 1e9)))
    return found


def _timed(run: Callable[[np.ndarray], object]) -> Callable[[np.ndarray], dict[str, float]]:
    pixels = np.random.default_rng(0).random((1, 3, YOLO_INPUT, YOLO_INPUT), np.float32)

    def call(image: np.ndarray) -> dict[str, float]:
        start = time.perf_counter()
        run(pixels)
        spent = (time.perf_counter() - start) * 1e3
        return {'call': spent, 'network': spent}
    return call


def _onnxruntime(graph: bytes, threads: int) -> Callable[[np.ndarray], object]:
    import onnxruntime as ort

    from ssd_perception.inference.runtimes.onnxruntime import session_options
    session = ort.InferenceSession(graph, session_options(threads),
                                   providers=['CPUExecutionProvider'])
    return lambda pixels: session.run(None, {'images': pixels})


def _openvino(graph: bytes, threads: int) -> Callable[[np.ndarray], object]:
    from ssd_perception.inference.runtimes.openvino import cpu_settings
    from ssd_perception.inference.runtimes.quiet_openvino import ov

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, 'yolo11n.onnx')
        path.write_bytes(graph)
        compiled = ov.Core().compile_model(str(path), 'CPU', cpu_settings(threads))
    request = compiled.create_infer_request()
    return lambda pixels: request.infer([pixels], share_inputs=True)
