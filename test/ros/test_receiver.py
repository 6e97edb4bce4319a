"""Images are taken by a thread that waits for them alone."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace

import pytest

rclpy = pytest.importorskip('rclpy')
from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from std_msgs.msg import Int64, String  # noqa: E402

from ssd_perception.ros import receiver as module  # noqa: E402
from ssd_perception.ros.humble import SubscriptionEventCallbacks  # noqa: E402

TOPICS = ('front', 'rear')


def until(condition, timeout_s=10, again=lambda: None):
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end
        again()
        time.sleep(0.005)


@pytest.fixture
def node():
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node('receiving', context=context)
    yield node
    node.destroy_node()
    rclpy.try_shutdown(context=context)


@pytest.fixture
def ours(node):
    """A receiver of two topics, and what came: messages, events, errors and threads."""
    came = SimpleNamespace(messages=[], events=[], errors=[], threads=set())
    came.receiver = module.Receiver(node, came.errors.append)

    def receive(message):
        came.threads.add(threading.current_thread())
        if message.data == 'bad':
            raise ValueError(message.data)
        came.messages.append(message.data)

    came.subscriptions = [node.create_subscription(
        String, topic, receive, 10, callback_group=came.receiver.group,
        event_callbacks=SubscriptionEventCallbacks(message_lost=came.events.append))
        for topic in TOPICS]
    came.publishers = [node.create_publisher(String, topic, 10) for topic in TOPICS]
    for subscription in came.subscriptions:
        came.receiver.add(subscription)
    until(lambda: all(p.get_subscription_count() for p in came.publishers))
    return came


def test_messages_come_without_an_executor_and_a_callback_that_fails_costs_itself(ours):
    front, rear = ours.publishers
    for publisher, text in ((front, '1'), (front, 'bad'), (rear, '2'), (front, '3')):
        publisher.publish(String(data=text))
    until(lambda: sorted(ours.messages) == ['1', '2', '3'])
    assert [str(error) for error in ours.errors] == ['bad']
    assert len(ours.threads) == 1 and threading.current_thread() not in ours.threads


def test_what_was_removed_is_not_called_and_the_thread_ends_with_the_last(ours, node):
    (front, rear), (first, second) = ours.publishers, ours.subscriptions
    ours.receiver.remove(first)
    node.destroy_subscription(first)
    front.publish(String(data='unheard'))
    until(lambda: ours.messages, again=lambda: rear.publish(String(data='heard')))
    assert set(ours.messages) == {'heard'}
    ours.receiver.remove(second)
    until(lambda: not any(thread.is_alive() for thread in ours.threads))
    ours.receiver.add(second)
    before = len(ours.messages)
    until(lambda: len(ours.messages) > before, again=lambda: rear.publish(String(data='heard')))
    assert not ours.errors


@pytest.mark.parametrize('end', ['node', 'context'])
def test_the_thread_ends_with_its_node_or_context(ours, node, end):
    until(lambda: ours.messages, again=lambda: ours.publishers[0].publish(String(data='1')))
    if end == 'node':
        node.destroy_node()
    else:
        rclpy.shutdown(context=node.context)
    until(lambda: not any(thread.is_alive() for thread in ours.threads))
    assert not ours.errors


def test_events_are_called_back(ours):
    event = next(handler for handler in ours.subscriptions[0].event_handlers
                 if handler.callback == ours.events.append)
    ready, data = [True], SimpleNamespace(total_count_change=3)
    event.is_ready = lambda wait_set: ready.pop() if ready else False
    event.take_data = lambda: data
    ours.publishers[1].publish(String(data='1'))
    until(lambda: ours.messages)
    assert ours.events == [data]


@pytest.mark.parametrize('other', [
    SimpleNamespace(), SimpleNamespace(WaitSet=lambda *_: SimpleNamespace(clear_entities=print))])
def test_where_rclpy_waits_in_another_way_the_executor_calls(node, monkeypatch, other):
    monkeypatch.setattr(module, 'rclpy_implementation', other)
    receiver, messages = module.Receiver(node, print), []
    receiver.add(node.create_subscription(String, 'front', messages.append, 10,
                                          callback_group=receiver.group))
    publisher, executor = node.create_publisher(String, 'front', 10), SingleThreadedExecutor(
        context=node.context)
    executor.add_node(node)
    until(publisher.get_subscription_count)
    publisher.publish(String(data='1'))
    until(lambda: messages, again=lambda: executor.spin_once(timeout_sec=0.1))
    executor.shutdown()


def test_after_one_subscription_the_topic_may_have_another_type(ours, node):
    for subscription in ours.subscriptions:
        ours.receiver.remove(subscription)
        node.destroy_subscription(subscription)
    for publisher in ours.publishers:
        node.destroy_publisher(publisher)
    numbers, publisher = [], node.create_publisher(Int64, 'front', 10)
    ours.receiver.add(node.create_subscription(Int64, 'front', numbers.append, 10,
                                               callback_group=ours.receiver.group))
    until(lambda: numbers, again=lambda: publisher.publish(Int64(data=3)))
    assert not ours.errors


def test_a_thread_that_died_or_could_not_be_started_is_started_again(ours, monkeypatch):
    def die(subscriptions):
        raise SystemExit
    with monkeypatch.context() as patch:
        patch.setattr(ours.receiver, '_receive', die)
        ours.receiver._wake()
        ours.receiver.add(ours.subscriptions.pop())  # so that the thread looks again
        until(lambda: not ours.receiver._thread.is_alive())
        patch.setattr(threading.Thread, 'start', no_thread)
        ours.receiver.keep_alive()  # what else is watched must not depend on it
    assert ["can't start new thread" in str(error) for error in ours.errors] == [True]
    ours.receiver.keep_alive()
    assert ['started again' in str(error) for error in ours.errors] == [False, True]
    until(lambda: ours.messages, again=lambda: ours.publishers[0].publish(String(data='heard')))


def no_thread(thread):
    raise RuntimeError("can't start new thread")
