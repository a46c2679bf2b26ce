"""`up` of a secure swarm renews a certificate that ends soon, and nobody is cut off by it."""

import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from swarm_tui.broker.certificates import SERVER_DAYS, SERVER_LEFT, Certificates
from swarm_tui.config.own_broker import authority_path
from swarm_tui.config.paths import broker_dir
from tests.e2e.supervised_swarm import Swarm, own
from tests.wait import until

Make = Callable[..., Swarm]


def test_up_renews_a_certificate_that_ends_soon(make: Make, free_port: int) -> None:
    x509 = pytest.importorskip("cryptography.x509", reason="a local authority needs the extra `secure`")
    broker = {"url": f"mqtts://127.0.0.1:{free_port}", "secure": True}
    swarm = make(free_port, [own("boss", "task-manager"), own("w")], broker=broker)
    swarm.up()
    pids, folder = swarm.pids(), authority_path(broker_dir(free_port)).parent
    held = Certificates(folder)
    age = timedelta(days=SERVER_DAYS - SERVER_LEFT + 1)
    told = x509.load_pem_x509_certificate(held.certificate.read_bytes())
    names = told.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    same = [str(one) for kind in (x509.DNSName, x509.IPAddress) for one in names.get_values_for_type(kind)]
    held._make_certificate(same, datetime.now(UTC) - age + timedelta(days=2))
    good = held.certificate.read_text()
    swarm.up()
    assert held.certificate.read_text() == good, "it is good for a day more than that"
    held._make_certificate(same, datetime.now(UTC) - age)
    aged = held.certificate.read_text()
    swarm.up()
    assert held.certificate.read_text() != aged
    shown = lambda: ssl.get_server_certificate(("127.0.0.1", free_port), ca_certs=str(held.authority))  # noqa: E731
    until(lambda: shown().strip() == held.certificate.read_text().strip(), what="the new one to be shown")
    assert swarm.pids() == pids, "nobody was started anew"
    assert swarm.run("status", "--swarm", swarm.name).returncode == 0
