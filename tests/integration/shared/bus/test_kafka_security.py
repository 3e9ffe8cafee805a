"""A broker that demands TLS and a password, as managed clusters do: who is let in, and who is not."""

import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from deploy.kafka.local.broker import LocalKafka
from leadline.cli.app import run
from leadline.cli.exit_codes import CHECK_FAILED, UNREACHABLE, USAGE
from shared.bus.kafka.bus import open_kafka_bus
from shared.bus.kafka.options import KafkaOptions
from shared.bus.kafka.topics import create
from shared.bus.port import BusUnavailable
from tests.contracts.bus.harness import message, reader
from tests.support.kafka import kafka_jars, patient

PASSWORD = "secret-of-the-test"
USERS = f'user_broker="{PASSWORD}" user_leadline="{PASSWORD}"'
PLAIN = "org.apache.kafka.common.security.plain.PlainLoginModule"
SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule"


@dataclass(frozen=True)
class Guarded:
    """A broker with a certificate of its own authority, which the file holds."""

    bootstrap: str
    ca_file: Path

    def options(self, **changed: object) -> KafkaOptions:
        options = KafkaOptions(
            self.bootstrap,
            prefix="guarded.",
            security="SASL_SSL",
            username="leadline",
            password=PASSWORD,
            ca_file=self.ca_file,
        )
        return patient(replace(options, **changed))  # type: ignore[arg-type]


def certificate(folder: Path) -> tuple[Path, Path]:
    """Make a key pair for 127.0.0.1; return the store with both and the certificate alone."""
    store, shown = folder / "broker.p12", folder / "ca.pem"
    pair = ["-keystore", str(store), "-storetype", "PKCS12", "-storepass", PASSWORD, "-alias", "broker"]
    named = ["-dname", "CN=broker", "-ext", "SAN=ip:127.0.0.1", "-validity", "7"]
    made = ["keytool", "-genkeypair", "-keyalg", "EC", *named, *pair]
    subprocess.run(made, check=True, capture_output=True, timeout=60)
    export = ["keytool", "-exportcert", "-rfc", *pair, "-file", str(shown)]
    subprocess.run(export, check=True, capture_output=True, timeout=60)
    return store, shown


@pytest.fixture(scope="module")
def guarded() -> Iterator[Guarded]:
    jars = kafka_jars()
    with tempfile.TemporaryDirectory(prefix="leadline-guarded-") as name:
        store, shown = certificate(Path(name))
        listener = "listener.name.sasl_ssl"
        broker = LocalKafka(
            Path(name),
            jars,
            protocol="SASL_SSL",
            scram={"leadline": PASSWORD},
            settings=(
                "group.min.session.timeout.ms=500",
                f"ssl.keystore.location={store}",
                "ssl.keystore.type=PKCS12",
                f"ssl.keystore.password={PASSWORD}",
                f"ssl.truststore.location={store}",
                "ssl.truststore.type=PKCS12",
                f"ssl.truststore.password={PASSWORD}",
                "sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512",
                "sasl.mechanism.inter.broker.protocol=PLAIN",
                f'{listener}.plain.sasl.jaas.config={PLAIN} required username="broker"'
                f' password="{PASSWORD}" {USERS};',
                f"{listener}.scram-sha-512.sasl.jaas.config={SCRAM} required;",
            ),
        )
        try:
            broker.start()
            yield Guarded(broker.bootstrap, shown)
        finally:
            broker.stop()


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
async def test_messages_go_and_come_over_tls_with_a_password(guarded: Guarded, mechanism: str) -> None:
    options = guarded.options(mechanism=mechanism, prefix=f"{mechanism}.")
    await create(options)
    async with open_kafka_bus(options) as bus:
        await bus.append([message(number) for number in range(20)])
        one = await reader(bus)
        assert sorted(await one.until(20)) == list(range(20))


@pytest.mark.parametrize(
    "wrong",
    [
        {"password": "another"},
        {"username": "nobody"},
        {"mechanism": "SCRAM-SHA-256"},
        {"security": "PLAINTEXT"},
        {"security": "SASL_PLAINTEXT"},
        {"ca_file": None},
    ],
    ids=lambda wrong: next(iter(wrong)) + str(next(iter(wrong.values()))),
)
async def test_who_is_not_let_in_hears_so_in_time(guarded: Guarded, wrong: dict[str, object]) -> None:
    async with open_kafka_bus(guarded.options(**wrong)) as bus:
        with pytest.raises(BusUnavailable):
            await bus.append([message(1)])


def test_the_commands_log_on_by_the_settings(
    guarded: Guarded, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = {
        "BUS": "kafka",
        "DATABASE_URL": "postgresql://nowhere/none",
        "KAFKA_BOOTSTRAP": guarded.bootstrap,
        "KAFKA_PREFIX": "commands.",
        "KAFKA_SECURITY": "SASL_SSL",
        "KAFKA_MECHANISM": "SCRAM-SHA-512",
        "KAFKA_USERNAME": "leadline",
        "KAFKA_PASSWORD": PASSWORD,
        "KAFKA_CA_FILE": str(guarded.ca_file),
    }
    for name, value in settings.items():
        monkeypatch.setenv(f"LEADLINE_{name}", value)
    assert run(["topics", "create"]) == 0
    assert "commands.leadline.activity" in capsys.readouterr().out
    assert run(["topics", "check"]) == CHECK_FAILED
    assert ": 1 copy;" in capsys.readouterr().out
    assert run(["topics", "lag"]) == 0
    monkeypatch.setenv("LEADLINE_KAFKA_PASSWORD", "another")
    assert run(["topics", "check"]) == UNREACHABLE
    told = capsys.readouterr()
    assert "another" not in told.out + told.err
    assert PASSWORD not in told.out + told.err
    assert "Authentication failed" in told.err
    monkeypatch.setenv("LEADLINE_KAFKA_CA_FILE", __file__)
    assert run(["topics", "check"]) == USAGE
    assert "LEADLINE_KAFKA_CA_FILE" in capsys.readouterr().err
