"""When a detector that fails is loaded anew, and where; no ROS in here."""

from __future__ import annotations

from dataclasses import replace

from ssd_perception.ros.parameters import NodeParameters

# One batch may fail: memory is short for a moment, a driver hiccups. The worker tries again by
# itself; what fails so many times in a row is a broken device or a broken detector.
PATIENCE = 3
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0


class Recovery:
    """Counts attempts; pauses between them double, because a lost device may stay lost.

    Attributes:
        attempts: how often the detector was loaded anew since it last worked.
        on_cpu: the CPU stands in for the configured device until the next configure.
    """

    def __init__(self):
        self.attempts = 0
        self.on_cpu = False
        self._not_before = 0.0

    def due(self, failures: int, failing: bool, now: float) -> bool:
        """Tell whether it is time to load anew.

        Args:
            failures: batches in a row that failed with the detector in use.
            failing: no batch was answered since the last failure, whatever the detector.
            now: seconds of a steady clock.
        """
        if not failing:
            self.attempts, self._not_before = 0, 0.0
        return failures >= PATIENCE and now >= self._not_before

    def attempt(self, parameters: NodeParameters, now: float) -> NodeParameters:
        """Return what to load: as configured first, on the CPU after that where allowed."""
        self.attempts += 1
        pause = min(FIRST_PAUSE_S * 2 ** (self.attempts - 1), LONGEST_PAUSE_S)
        self._not_before = now + pause
        if self.attempts > 1 and parameters.cpu_fallback and parameters.device != 'cpu':
            self.on_cpu = True
        return self.place(parameters)

    def place(self, parameters: NodeParameters) -> NodeParameters:
        """Return the parameters with the device that is in use at present."""
        if not self.on_cpu:
            return parameters
        # The configured runtime and precision may exist on the lost device only.
        return replace(parameters, device='cpu', runtime='auto', precision='auto')
