"""The other side of a conversation with the detector node: publishes, listens, calls."""

from __future__ import annotations

import time

import numpy as np
import rclpy
from builtin_interfaces.msg import Time
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.msg import Parameter as ParameterMessage
from rcl_interfaces.srv import SetParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from vision_msgs.msg import Detection2DArray

BEST_EFFORT = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)


def header(number: int) -> Header:
    """Return a header that no other frame has."""
    return Header(stamp=Time(sec=1000 + number, nanosec=number + 7), frame_id=f'camera_{number}')


def picture(width: int = 96, height: int = 64, seed: int = 0) -> np.ndarray:
    """Return a uint8 (H, W, 3) RGB picture of coloured noise in blocks."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 256, ((height + 15) // 16, (width + 15) // 16, 3), np.uint8)
    return np.ascontiguousarray(blocks.repeat(16, 0).repeat(16, 1)[:height, :width])


def image(rgb: np.ndarray, number: int = 0, padding: int = 0, **fields) -> Image:
    """Return an rgb8 message with rows padded by garbage."""
    height, width = rgb.shape[:2]
    rows = np.full((height, 3 * width + padding), 99, np.uint8)
    rows[:, :3 * width] = rgb.reshape(height, -1)
    return Image(header=header(number), height=height, width=width, encoding='rgb8',
                 step=rows.shape[1], data=rows.tobytes(), **fields)


class Peer:
    """Spins only inside its own calls, so that nothing happens behind a test's back."""

    def __init__(self):
        self._context = rclpy.Context()
        rclpy.init(context=self._context)
        self.node = rclpy.create_node('peer', context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._publishers = {}

    def close(self):
        self._executor.shutdown()
        self.node.destroy_node()
        rclpy.try_shutdown(context=self._context)

    def until(self, condition, timeout_s: float = 10.0):
        """Spin until ``condition()`` is true; return what it returned."""
        end = time.monotonic() + timeout_s
        while not (result := condition()) and time.monotonic() < end:
            self._executor.spin_once(timeout_sec=0.02)
        return result

    def spin(self, seconds: float):
        self.until(lambda: False, seconds)

    def listen(self, kind, topic: str, qos=10) -> list:
        """Subscribe; return the list that messages will be appended to."""
        received = []
        self.node.create_subscription(kind, topic, received.append, qos)
        return received

    def publisher(self, kind, topic: str, qos=BEST_EFFORT):
        if topic not in self._publishers:
            self._publishers[topic] = self.node.create_publisher(kind, topic, qos)
        return self._publishers[topic]

    def silence(self, topic: str):
        """Take a publisher away again."""
        self.node.destroy_publisher(self._publishers.pop(topic))

    def ask(self, message, received: list, topic: str = '/image', tries: int = 5):
        """Publish an image until its answer arrives, and return that one."""
        publisher = self.publisher(type(message), topic)
        self.until(lambda: publisher.get_subscription_count() > 0)
        for _ in range(tries):
            publisher.publish(message)
            answer = self.until(lambda: next(
                (m for m in received if m.header == message.header), None), 4.0)
            if answer:
                return answer
        raise AssertionError(f'no answer to {message.header} on {topic}, but to '
                             f'{[m.header for m in received[-3:]]}')

    def listen_to_detections(self, topic: str = '/detections') -> list:
        received = self.listen(Detection2DArray, topic)
        assert self.until(lambda: self.node.count_publishers(topic) > 0, 60.0)
        return received

    def call(self, kind, service: str, request, timeout_s: float = 60.0):
        client = self.node.create_client(kind, service)
        assert self.until(client.service_is_ready, timeout_s), f'no service {service}'
        future = client.call_async(request)
        assert self.until(future.done, timeout_s), f'no answer from {service}'
        self.node.destroy_client(client)
        return future.result()

    def set_parameter(self, name: str, value, node: str = '/ssd_detector'):
        """Return (accepted, reason)."""
        parameter: ParameterMessage = Parameter(name, value=value).to_parameter_msg()
        result = self.call(SetParameters, f'{node}/set_parameters',
                           SetParameters.Request(parameters=[parameter])).results[0]
        return result.successful, result.reason

    def change_state(self, transition: int, node: str = '/ssd_detector') -> bool:
        request = ChangeState.Request()
        request.transition.id = transition
        return self.call(ChangeState, f'{node}/change_state', request).success

    def state(self, node: str = '/ssd_detector') -> str:
        return self.call(GetState, f'{node}/get_state', GetState.Request()).current_state.label
