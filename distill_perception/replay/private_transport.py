"""A transport between a replay and its own node: on this machine, for large frames, quick to start.

Fast DDS offers no such choice by an environment variable: with `LARGE_DATA` it takes seconds until both sides
have found each other, the whole network hears them, and limiting discovery to this machine (LOCALHOST)
undoes it.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..ros.transport import use_large_messages

_SEGMENT_BYTES = 64 * 1024 * 1024  # some twenty colour frames of 1280x720

_PROFILE = f"""<?xml version="1.0" encoding="UTF-8"?>
<dds xmlns="http://www.eprosima.com">
  <profiles>
    <transport_descriptors>
      <transport_descriptor>
        <transport_id>memory</transport_id>
        <type>SHM</type>
        <segment_size>{_SEGMENT_BYTES}</segment_size>
      </transport_descriptor>
      <transport_descriptor>
        <transport_id>loopback</transport_id>
        <type>UDPv4</type>
        <interfaceWhiteList><address>127.0.0.1</address></interfaceWhiteList>
      </transport_descriptor>
    </transport_descriptors>
    <participant profile_name="replay" is_default_profile="true">
      <rtps>
        <userTransports>
          <transport_id>memory</transport_id>
          <transport_id>loopback</transport_id>
        </userTransports>
        <useBuiltinTransports>false</useBuiltinTransports>
        <builtin>
          <discovery_config>
            <initialAnnouncements>
              <count>100</count>
              <period><nanosec>100000000</nanosec></period>
            </initialAnnouncements>
          </discovery_config>
        </builtin>
      </rtps>
    </participant>
  </profiles>
</dds>
"""


@contextmanager
def private_environment(domain_id: int) -> Iterator[dict[str, str]]:
    """Environment variables for a replay and its node; valid until the context ends.

    A transport that the user has chosen is left alone. Where the profile is not read (another middleware),
    the domain alone keeps the replay apart.
    """
    with tempfile.TemporaryDirectory(prefix="distill-perception-") as folder:
        environ = os.environ | {
            "ROS_DOMAIN_ID": str(domain_id),
            "ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET",  # LOCALHOST would replace the transports
            "ROS_LOCALHOST_ONLY": "0",
            "PYTHONUNBUFFERED": "1",
        }
        if use_large_messages(environ):
            profile = Path(folder) / "transport.xml"
            profile.write_text(_PROFILE, encoding="utf8")
            environ["FASTDDS_DEFAULT_PROFILES_FILE"] = str(profile)
        yield environ
