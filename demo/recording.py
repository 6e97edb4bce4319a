"""The recording: frames, camera model and ground truth as a rosbag2 folder in mcap."""

import shutil

import numpy as np
import vision_types
from rosbags.interfaces import (
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import StoragePlugin, Writer

FRAME_ID = 'camera_optical_frame'
START_NS = 1_767_225_600 * 10**9  # 2026-01-01 00:00:00 UTC: fixed, so that the bag is too
IMAGE_TOPIC = '/camera/image_raw/compressed'
INFO_TOPIC = '/camera/camera_info'
TRUTH_TOPIC = '/ground_truth/detections'

_NEVER = QosTime(sec=2147483647, nsec=4294967295)


def _qos(depth):
    """Reliable and volatile: what a player offers matches both kinds of subscriber."""
    return Qos(QosHistory.KEEP_LAST, depth, QosReliability.RELIABLE, QosDurability.VOLATILE,
               _NEVER, _NEVER, QosLiveliness.AUTOMATIC, _NEVER, False)


def write_recording(path, frames, rate_hz, size, focal_px):
    """Write `frames`, an iterable of (JPEG bytes, boxes), to the folder `path`."""
    store = vision_types.typestore()
    types = store.types
    temporary = path.with_name(path.name + '.part')
    shutil.rmtree(temporary, ignore_errors=True)
    image_type, info_type = 'sensor_msgs/msg/CompressedImage', 'sensor_msgs/msg/CameraInfo'
    truth_type = 'vision_msgs/msg/Detection2DArray'
    with Writer(temporary, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        image = writer.add_connection(IMAGE_TOPIC, image_type, typestore=store,
                                      offered_qos_profiles=[_qos(5)])
        info = writer.add_connection(INFO_TOPIC, info_type, typestore=store,
                                     offered_qos_profiles=[_qos(5)])
        truth = writer.add_connection(TRUTH_TOPIC, truth_type, typestore=store,
                                      offered_qos_profiles=[_qos(10)])
        for number, (jpeg, boxes) in enumerate(frames):
            stamp_ns = START_NS + int(number * 10**9 / rate_hz)
            header = types['std_msgs/msg/Header'](
                stamp=types['builtin_interfaces/msg/Time'](sec=stamp_ns // 10**9,
                                                           nanosec=stamp_ns % 10**9),
                frame_id=FRAME_ID)
            for connection, message in (
                    (info, _camera_info(types, header, size, focal_px)),
                    (image, types[image_type](header=header, format='bgr8; jpeg compressed bgr8',
                                              data=np.frombuffer(jpeg, np.uint8))),
                    (truth, _detections(types, header, boxes))):
                writer.write(connection, stamp_ns,
                             store.serialize_cdr(message, connection.msgtype))
    # Player and tests expect the file to be named like its folder.
    shutil.rmtree(path, ignore_errors=True)
    temporary.rename(path)
    _rename_storage(path, temporary.name)


def _rename_storage(path, old):
    for file in path.glob(f'{old}*.mcap'):
        file.rename(path / file.name.replace(old, path.name))
    metadata = path / 'metadata.yaml'
    metadata.write_text(metadata.read_text().replace(old, path.name))


def _camera_info(types, header, size, focal_px):
    """Return the pinhole of the renderer, free of distortion."""
    width, height = size
    # ROS counts from the centre of the first pixel, hence half a pixel less than the middle.
    cx, cy = width / 2 - 0.5, height / 2 - 0.5
    return types['sensor_msgs/msg/CameraInfo'](
        header=header, height=height, width=width, distortion_model='plumb_bob', d=np.zeros(5),
        k=np.array([focal_px, 0, cx, 0, focal_px, cy, 0, 0, 1]), r=np.eye(3).ravel(),
        p=np.array([focal_px, 0, cx, 0, 0, focal_px, cy, 0, 0, 0, 1, 0]),
        binning_x=0, binning_y=0,
        roi=types['sensor_msgs/msg/RegionOfInterest'](x_offset=0, y_offset=0, height=0, width=0,
                                                      do_rectify=False))


def _detections(types, header, boxes):
    def make(name, **fields):
        return types[name](**fields)

    pose = make('geometry_msgs/msg/PoseWithCovariance',
                pose=make('geometry_msgs/msg/Pose',
                          position=make('geometry_msgs/msg/Point', x=0.0, y=0.0, z=0.0),
                          orientation=make('geometry_msgs/msg/Quaternion', x=0.0, y=0.0, z=0.0,
                                           w=1.0)),
                covariance=np.zeros(36))
    detections = []
    for label, (x1, y1, x2, y2) in boxes:
        centre = make('vision_msgs/msg/Point2D', x=(x1 + x2) / 2, y=(y1 + y2) / 2)
        bbox = make('vision_msgs/msg/BoundingBox2D', size_x=x2 - x1, size_y=y2 - y1,
                    center=make('vision_msgs/msg/Pose2D', position=centre, theta=0.0))
        best = make('vision_msgs/msg/ObjectHypothesisWithPose', pose=pose,
                    hypothesis=make('vision_msgs/msg/ObjectHypothesis', class_id=label, score=1.0))
        detections.append(make('vision_msgs/msg/Detection2D', header=header, results=[best],
                               bbox=bbox, id=''))
    return make('vision_msgs/msg/Detection2DArray', header=header, detections=detections)
