from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zeroconf import BadTypeInNameException, service_type_name  # type: ignore[attr-defined]

from meshbox.core.errors import InvalidSetting
from meshbox.core.ids import node_id_of
from meshbox.core.limits import MESH_NAME_BYTES_MAX
from meshbox.discovery.names import (
    DEFAULT_MESH,
    Service,
    host_name,
    instance_name,
    instance_of,
    parse_mesh,
    service_type,
)

MESHES = st.one_of(
    st.text(alphabet="abz09-", min_size=1, max_size=60), st.text(min_size=1, max_size=70)
)


@given(MESHES)
def test_a_mesh_is_accepted_exactly_if_zeroconf_takes_both_types_and_dns_the_label(
    text: str,
) -> None:
    try:
        mesh = parse_mesh(text)
    except InvalidSetting:
        assert len(text) > MESH_NAME_BYTES_MAX or not _zeroconf_takes(text) or _is_other_text(text)
    else:
        assert _zeroconf_takes(mesh)
        for service in Service:
            assert len(service_type(service, mesh).split(".")[0]) <= 63


def _zeroconf_takes(text: str) -> bool:
    try:
        for service in Service:
            service_type_name(f"_{service}-{text}._tcp.local.", strict=False)
    except BadTypeInNameException:
        return False
    return True


def _is_other_text(text: str) -> bool:
    """What zeroconf would take, but which is no lower-case name of one label."""
    return text != text.lower() or not text.replace("-", "a").isalnum() or not text.isascii()


def test_the_longest_mesh_name_just_fills_a_dns_label() -> None:
    longest = "a" * MESH_NAME_BYTES_MAX
    assert len(service_type(Service.MAILBOX, parse_mesh(longest)).split(".")[0]) == 63
    with pytest.raises(InvalidSetting, match="at most"):
        parse_mesh(longest + "a")


def test_types_carry_the_mesh() -> None:
    assert service_type(Service.MAILBOX, DEFAULT_MESH) == "_dashchat._tcp.local."
    assert service_type(Service.NODE, parse_mesh("camp-1")) == "_meshbox-camp-1._tcp.local."
    assert parse_mesh("") == DEFAULT_MESH


@given(st.binary(min_size=32, max_size=32))
def test_hosts_are_lower_case_and_differ_by_service(key: bytes) -> None:
    hosts = {host_name(node_id_of(key), service) for service in Service}
    assert len(hosts) == 2
    assert all(host == host.lower() and host.endswith(".local.") for host in hosts)


@given(st.binary(min_size=32, max_size=32), st.sampled_from(Service))
def test_an_instance_is_read_as_it_was_named(key: bytes, service: Service) -> None:
    type_ = service_type(service, DEFAULT_MESH)
    assert instance_of(instance_name(node_id_of(key), type_), type_) == node_id_of(key)


@pytest.mark.parametrize(
    ("name", "instance"),
    [
        ("abc (2)._dashchat._tcp.local.", "abc"),
        ("abc._DASHCHAT._tcp.local.", "abc"),
        ("abc._meshbox._tcp.local.", None),
        ("._dashchat._tcp.local.", None),
        ("a b._dashchat._tcp.local.", None),
        ("a\nb._dashchat._tcp.local.", None),
        (f"{'a' * 64}._dashchat._tcp.local.", None),
    ],
)
def test_other_instances(name: str, instance: str | None) -> None:
    assert instance_of(name, "_dashchat._tcp.local.") == instance
