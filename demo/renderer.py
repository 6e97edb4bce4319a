"""Cycles: settings, a render into a linear numpy image, and the render of instance numbers."""

from __future__ import annotations

import math
import os
import tempfile

import bpy
import cv2
import numpy as np
from mathutils import Euler, Matrix

SENSOR_MM = 36.0


def start_scene(width: int, height: int, samples: int, threads: int = 0,
                scale: float = 1.0) -> bpy.types.Scene:
    """Empty Blender and set up Cycles for small noisy images that the denoiser cleans.

    `scale` below 1 traces fewer pixels and enlarges: a small camera's lens is no sharper.
    """
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.render.engine = 'CYCLES'
    scene.render.resolution_x, scene.render.resolution_y = width, height
    scene.render.resolution_percentage = round(100 * scale)
    if threads:
        scene.render.threads_mode, scene.render.threads = 'FIXED', threads
    scene.render.image_settings.file_format = 'OPEN_EXR'
    scene.render.image_settings.color_depth = '16'
    scene.render.image_settings.exr_codec = 'ZIP'
    cycles = scene.cycles
    cycles.device = 'CPU'
    cycles.samples = samples
    cycles.use_adaptive_sampling = True
    cycles.adaptive_threshold = 0.05
    cycles.use_denoising = True
    cycles.denoiser = 'OPENIMAGEDENOISE'
    cycles.denoising_input_passes = 'RGB_ALBEDO_NORMAL'
    cycles.denoising_prefilter = 'FAST'
    cycles.max_bounces, cycles.diffuse_bounces, cycles.glossy_bounces = 3, 2, 2
    cycles.transmission_bounces = cycles.transparent_max_bounces = 2
    cycles.caustics_reflective = cycles.caustics_refractive = False
    cycles.sample_clamp_indirect = 4.0
    cycles.blur_glossy = 0.5
    # From the first bounce on, ambient occlusion stands in for the rest of the paths: a third
    # less work, and no difference to be seen behind the camera's own noise.
    cycles.use_fast_gi, cycles.fast_gi_method, cycles.ao_bounces_render = True, 'REPLACE', 1
    cycles.use_light_tree = True
    return scene


def add_camera(scene: bpy.types.Scene, focal_px: float) -> bpy.types.Object:
    """Add a pinhole camera whose principal point is the middle of the image."""
    camera = bpy.data.objects.new('camera', bpy.data.cameras.new('camera'))
    scene.collection.objects.link(camera)
    scene.camera = camera
    camera.data.sensor_width = SENSOR_MM
    camera.data.lens = focal_px * SENSOR_MM / scene.render.resolution_x
    camera.data.clip_start = 0.02
    camera.rotation_mode = 'XYZ'
    return camera


def set_pose(camera: bpy.types.Object, position: np.ndarray, yaw: float, pitch: float, roll: float,
             frame: float | None = None) -> None:
    """Point the camera: yaw from +y towards -x, pitch below the horizon, both in radians."""
    camera.location = position
    # Blender's camera looks along its -z axis; roll turns around that axis, hence comes first.
    camera.rotation_euler = _euler(yaw, pitch, roll)
    if frame is not None:
        camera.keyframe_insert('location', frame=frame)
        camera.keyframe_insert('rotation_euler', frame=frame)


def _euler(yaw: float, pitch: float, roll: float) -> Euler:
    turn = (Matrix.Rotation(yaw, 3, 'Z') @ Matrix.Rotation(math.pi / 2 - pitch, 3, 'X')
            @ Matrix.Rotation(roll, 3, 'Z'))
    return turn.to_euler('XYZ')


def set_linear_motion(camera: bpy.types.Object) -> None:
    """Make the keyframed motion even, so that the shutter sees a constant speed."""
    action = camera.animation_data.action
    for curve in action.fcurves:
        for key in curve.keyframe_points:
            key.interpolation = 'LINEAR'


def render_linear(scene: bpy.types.Scene) -> np.ndarray:
    """Render and return scene-linear RGB float32 (H, W, 3), at least at the full resolution."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, 'render.exr')
        scene.render.filepath = path
        bpy.ops.render.render(write_still=True)
        image = bpy.data.images.load(path)
        width, height = image.size
        pixels = np.empty(width * height * 4, np.float32)
        image.pixels.foreach_get(pixels)
        bpy.data.images.remove(image)
    # Blender counts rows from the bottom.
    linear = np.ascontiguousarray(pixels.reshape(height, width, 4)[::-1, :, :3])
    full = (scene.render.resolution_x, scene.render.resolution_y)
    return cv2.resize(linear, full, interpolation=cv2.INTER_LINEAR) if width < full[0] else linear


def _instance_material() -> bpy.types.Material:
    """Shine with the object's own number, whatever its real material."""
    material = bpy.data.materials.get('instance_number')
    if material:
        return material
    material = bpy.data.materials.new('instance_number')
    material.use_nodes = True
    tree = material.node_tree
    tree.nodes.clear()
    number = tree.nodes.new('ShaderNodeObjectInfo')
    shine = tree.nodes.new('ShaderNodeEmission')
    output = tree.nodes.new('ShaderNodeOutputMaterial')
    tree.links.new(number.outputs['Object Index'], shine.inputs['Strength'])
    tree.links.new(shine.outputs[0], output.inputs['Surface'])
    shine.inputs['Color'].default_value = (1, 1, 1, 1)
    return material


def render_instances(scene: bpy.types.Scene, oversampling: int = 2) -> np.ndarray:
    """Return the pass_index seen through each (sub)pixel: int (H * oversampling, W * ...)."""
    cycles, layer = scene.cycles, scene.view_layers[0]
    saved = (cycles.samples, cycles.use_denoising, cycles.use_adaptive_sampling,
             cycles.pixel_filter_type, cycles.filter_width, cycles.max_bounces,
             scene.render.use_motion_blur, scene.world, scene.render.resolution_percentage)
    cycles.samples, cycles.use_denoising, cycles.use_adaptive_sampling = 1, False, False
    cycles.pixel_filter_type, cycles.filter_width, cycles.max_bounces = 'BOX', 0.01, 0
    scene.render.use_motion_blur, scene.world = False, None
    scene.render.resolution_percentage = 100 * oversampling
    layer.material_override = _instance_material()
    try:
        numbers = render_linear(scene)[..., 0]
    finally:
        layer.material_override = None
        (cycles.samples, cycles.use_denoising, cycles.use_adaptive_sampling,
         cycles.pixel_filter_type, cycles.filter_width, cycles.max_bounces,
         scene.render.use_motion_blur, scene.world,
         scene.render.resolution_percentage) = saved
    return np.rint(numbers).astype(np.int32)
