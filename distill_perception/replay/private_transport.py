"""A transport between a replay and its own node: that of `config/fastdds.xml`, kept on this machine."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..ros.transport import VARIABLE, use_large_messages

_NETWORK = "<type>UDPv4</type>"
_LOOPBACK = f"{_NETWORK}<interfaceWhiteList><address>127.0.0.1</address></interfaceWhiteList>"
# They send discovery elsewhere, to a server that the loopback does not reach for instance.
_DISCOVERY = ("ROS_DISCOVERY_SERVER", "ROS_SUPER_CLIENT", "ROS_STATIC_PEERS", "ROS2_EASY_MODE")


@contextmanager
def private_environment(domain_id: int) -> Iterator[dict[str, str]]:
    """The whole environment for a replay and its node; valid until the context ends.

    A transport that the user has chosen is left alone. Where the profile is not read (another middleware),
    the domain alone keeps the replay apart.
    """
    with tempfile.TemporaryDirectory(prefix="distill-perception-") as folder:
        environ = os.environ | {
            "ROS_DOMAIN_ID": str(domain_id),
            "ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET",  # the profile says how far it is heard
            "ROS_LOCALHOST_ONLY": "0",
            "PYTHONUNBUFFERED": "1",
        }
        for name in _DISCOVERY:
            environ.pop(name, None)
        if use_large_messages(environ):
            shipped = Path(environ[VARIABLE]).read_text(encoding="utf8")
            profile = Path(folder) / "transport.xml"
            profile.write_text(shipped.replace(_NETWORK, _LOOPBACK), encoding="utf8")
            environ[VARIABLE] = str(profile)
        yield environ
