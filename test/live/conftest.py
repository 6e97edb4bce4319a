"""Players and viewers in processes of their own, over real DDS."""

import ros_environment  # noqa: F401
