"""The node's side of enrolment, against a real gateway door."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from compose.demo.process import free_port
from node_agent.enrolment import Enrolment, EnrolmentFailed, EnrolmentUnusable, enrol, load_enrolment
from node_agent.settings import Settings
from schema.jws import key_id
from schema.messages import PublicKey
from tests.running import RunningGateway, outside

NODE_URL = "http://127.0.0.1:8101"


def node_settings(folder: Path, *facilities: str) -> Settings:
    return Settings(
        data_folder=folder / "node",
        facilities=[{"code": f, "name": f"Bệnh viện {f}"} for f in facilities],  # type: ignore[arg-type]
        feeds=[{"feed": "fhir"}, {"feed": "bhyt_xml", "facility": facilities[0]}],  # type: ignore[arg-type]
    )


def join(settings: Settings, gateway_url: str, code: str, node_url: str = NODE_URL) -> Enrolment:
    async def work() -> Enrolment:
        async with httpx.AsyncClient() as client:
            return await enrol(settings, gateway_url, code, node_url, client)

    return outside(work())


def test_a_node_of_two_facilities_joins_and_remembers(gateway: RunningGateway, tmp_path: Path) -> None:
    settings = node_settings(tmp_path, "01001", "01002")
    joined = join(settings, gateway.url + "/", gateway.invite("01001", "01002"))
    loaded = load_enrolment(settings)
    assert loaded is not None
    assert (loaded.node_id, loaded.gateway_url, loaded.facilities) == (
        joined.node_id,
        gateway.url,
        ("01001", "01002"),
    )
    assert set(loaded.gateway_keys) == {key_id(gateway.signing_key.public_key())}
    city = gateway.city()
    assert city.nodes[joined.node_id].url == NODE_URL
    assert {f.value for f in city.facilities["01001"].feeds} == {"FHIR", "BHYT_XML"}
    assert {f.value for f in city.facilities["01002"].feeds} == {"FHIR"}


def test_the_private_key_is_private_and_stays_at_the_node(gateway: RunningGateway, tmp_path: Path) -> None:
    settings = node_settings(tmp_path, "01001")
    joined = join(settings, gateway.url, gateway.invite("01001"))
    assert settings.node_key_file.stat().st_mode & 0o777 == 0o600
    public = json.loads(gateway.city().nodes[joined.node_id].public_key)
    assert public == {"kty": "OKP", "crv": "Ed25519", "x": PublicKey.of(joined.key.public_key()).x}
    assert "PRIVATE" not in (settings.data_folder / "enrolment.json").read_text()
    assert "PRIVATE" not in repr(joined) and repr(joined).startswith("Enrolment(node_id=")


def test_a_refused_code_leaves_the_older_enrolment_as_it_was(gateway: RunningGateway, tmp_path: Path) -> None:
    settings = node_settings(tmp_path, "01001")
    code = gateway.invite("01001")
    joined = join(settings, gateway.url, code)
    with pytest.raises(EnrolmentFailed, match="ENROLMENT_REFUSED") as caught:
        join(settings, gateway.url, code)
    assert code not in str(caught.value)
    loaded = load_enrolment(settings)
    assert loaded is not None and loaded.node_id == joined.node_id
    assert loaded.key.private_bytes_raw() == joined.key.private_bytes_raw()


def test_joining_again_keeps_the_name_and_changes_the_key(gateway: RunningGateway, tmp_path: Path) -> None:
    settings = node_settings(tmp_path, "01001")
    first = join(settings, gateway.url, gateway.invite("01001"))
    second = join(settings, gateway.url, gateway.invite("01001"), "https://node.example")
    assert second.node_id == first.node_id
    assert second.key.private_bytes_raw() != first.key.private_bytes_raw()
    assert gateway.city().nodes[first.node_id].url == "https://node.example"


@pytest.mark.parametrize("url", ["http://10.1.2.3:8100", "ftp://gateway", "gateway.example"])
def test_the_code_never_travels_in_the_clear(tmp_path: Path, url: str) -> None:
    with pytest.raises(EnrolmentFailed, match="https"):
        join(node_settings(tmp_path, "01001"), url, "CODE")
    assert not (tmp_path / "node" / "node.key").exists()


def test_a_gateway_that_is_away_or_is_none_is_told_plainly(gateway: RunningGateway, tmp_path: Path) -> None:
    settings = node_settings(tmp_path, "01001")
    with pytest.raises(EnrolmentFailed, match="cannot reach the gateway"):
        join(settings, f"http://127.0.0.1:{free_port()}", "CODE")
    with pytest.raises(EnrolmentFailed, match=r"does not answer like a gateway .HTTP 404."):
        join(settings, gateway.url + "/elsewhere", "CODE")
    assert load_enrolment(settings) is None


@pytest.mark.parametrize("file", ["node.key", "enrolment.json"])
def test_damaged_files_are_named(gateway: RunningGateway, tmp_path: Path, file: str) -> None:
    settings = node_settings(tmp_path, "01001")
    join(settings, gateway.url, gateway.invite("01001"))
    (settings.data_folder / file).write_bytes(b"{}")
    with pytest.raises(EnrolmentUnusable, match=r"node\.key"):
        load_enrolment(settings)
