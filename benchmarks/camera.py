"""A camera in a process of its own, which publishes when it is told to.

    python -m benchmarks.camera TOPIC WIDTH HEIGHT

Says `ready` once somebody listens; then takes lines `RATE_HZ SECONDS` and says `done` after each.
"""

import sys
from contextlib import closing

from distill_perception.ros.transport import use_large_messages

from .camera_load import CameraLoad


def main() -> None:
    """Publish until stdin ends."""
    use_large_messages()
    topic, width, height = sys.argv[1:]
    with closing(CameraLoad(int(width), int(height), topic)) as load:
        load.wait_for_listener()
        print("ready", flush=True)
        for line in sys.stdin:
            rate_hz, seconds = map(float, line.split())
            load.send(rate_hz, seconds)
            print("done", flush=True)


if __name__ == "__main__":
    main()
