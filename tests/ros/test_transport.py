"""The middleware's environment."""

import pytest

from distill_perception.ros.transport import transport_problem, use_large_messages


def test_an_untouched_environment_gets_the_large_data_transports() -> None:
    env: dict[str, str] = {}
    assert use_large_messages(env)
    assert env == {"FASTDDS_BUILTIN_TRANSPORTS": "LARGE_DATA"}


@pytest.mark.parametrize(
    "chosen",
    [
        {"FASTDDS_BUILTIN_TRANSPORTS": "UDPv4"},
        {"FASTDDS_DEFAULT_PROFILES_FILE": "/etc/dds.xml"},
        {"FASTRTPS_DEFAULT_PROFILES_FILE": "/etc/dds.xml"},
        {"RMW_IMPLEMENTATION": "rmw_cyclonedds_cpp"},
    ],
)
def test_the_users_choice_is_left_alone(chosen: dict[str, str]) -> None:
    env = dict(chosen)
    assert not use_large_messages(env)
    assert env == chosen


def test_fast_dds_named_by_the_user_is_set_up() -> None:
    env = {"RMW_IMPLEMENTATION": "rmw_fastrtps_dynamic_cpp"}
    assert use_large_messages(env)


def test_the_discovery_range_that_undoes_it_is_reported() -> None:
    problem = transport_problem({"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"})
    assert problem is not None
    assert "SUBNET" in problem
    assert transport_problem({}) is None
    assert transport_problem({"ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET"}) is None
    cyclone = {"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST", "RMW_IMPLEMENTATION": "rmw_cyclonedds_cpp"}
    assert transport_problem(cyclone) is None
