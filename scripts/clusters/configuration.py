"""How one server is run: its cassandra.yaml, its logging, its command line.

Small enough that three fit beside the tests, and durable as a mailbox needs it: `commitlog_sync`
is `group`, since `periodic` loses what it acknowledged when a server is killed.
"""

from __future__ import annotations

import ipaddress
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from scripts.clusters.certificates import certify

CQL_PORT: Final = 9042
STORAGE_PORT: Final = 7000

_EXPORTED: Final = (
    *("java.base/sun.nio.ch", "java.base/jdk.internal.ref", "java.base/jdk.internal.misc"),
    *("java.rmi/sun.rmi.registry", "java.rmi/sun.rmi.server"),
    "java.management.rmi/com.sun.jmx.remote.internal.rmi",
)
_OPENED: Final = (
    *("sun.nio.ch", "java.io", "java.lang", "java.lang.module", "java.lang.reflect", "java.util"),
    *("jdk.internal.loader", "jdk.internal.reflect", "jdk.internal.math", "jdk.internal.module"),
    "jdk.internal.util.jar",
)
_PEM_FACTORY: Final = "org.apache.cassandra.security.PEMBasedSslContextFactory"
_HEAP: Final = "384m"
_LOGBACK: Final = """\
<configuration>
  <appender name="STDOUT" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%date %-5level %logger{0} %msg%n</pattern></encoder>
  </appender>
  <root level="INFO"><appender-ref ref="STDOUT"/></root>
</configuration>
"""


@dataclass(frozen=True, slots=True)
class Server:
    """One server of a cluster."""

    number: int
    """From 1."""
    count: int
    """Servers of its cluster."""
    network: str
    """The first three numbers of the loopback addresses of all."""
    authenticate: bool
    """Whether clients must log in, and may use TLS."""
    folder: Path
    """Its own: data, log, settings, process id."""
    jars: Path

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"{self.network}.{self.number}"

    @property
    def log(self) -> Path:
        """What it wrote."""
        return self.folder / "log"

    @property
    def authority(self) -> Path:
        """The certificate that signed its own, where it offers TLS."""
        return self.folder / "ca.pem"

    def prepare(self) -> None:
        """Writes its files; the data of before stays."""
        (self.folder / "tmp").mkdir(parents=True, exist_ok=True)
        if self.authenticate and not self.authority.exists():
            certify(self.address, authority=self.authority, server=self.folder / "server.pem")
        # JSON is YAML.
        text = json.dumps(self._settings(), indent=1)
        (self.folder / "cassandra.yaml").write_text(text, encoding="utf-8")
        (self.folder / "logback.xml").write_text(_LOGBACK, encoding="utf-8")

    def command(self, *, tied: bool) -> list[str]:
        """It stays in the foreground, and is killed with its parent when it is `tied` to it."""
        folder, jars = self.folder, self.jars
        properties = {
            "cassandra.config": f"file://{folder}/cassandra.yaml",
            "cassandra.storagedir": f"{folder}/data",
            "cassandra.logdir": folder,
            "logback.configurationFile": f"file://{folder}/logback.xml",
            "cassandra-foreground": "yes",
            "java.io.tmpdir": folder / "tmp",
            "java.net.preferIPv4Stack": "true",
            "file.encoding": "UTF-8",
            "cassandra.skip_wait_for_gossip_to_settle": 0,
            "cassandra.ring_delay_ms": 1_000,
            "cassandra.superuser_setup_delay_ms": 0,
            "cassandra.role_password_update_min_interval_in_ms": 0,
            "cassandra.shutdown_announce_in_ms": 0,
            "io.netty.eventLoopThreads": 4,
            "io.netty.tryReflectionSetAccessible": "true",
        }
        return [
            # As root it would lock its heap into memory, twice as much of it.
            *("setpriv", "--bounding-set=-ipc_lock", "--inh-caps=-ipc_lock"),
            *(("--pdeathsig", "KILL") if tied else ()),
            *("java", f"-Xms{_HEAP}", f"-Xmx{_HEAP}", "-Xss256k", "-XX:+UseG1GC"),
            *("-XX:MaxDirectMemorySize=256m", "-XX:+PerfDisableSharedMem"),
            *("-XX:+ExitOnOutOfMemoryError", "-XX:TieredStopAtLevel=1"),
            f"-javaagent:{jars}/jamm-0.4.0.jar",
            *(f"--add-exports={name}=ALL-UNNAMED" for name in _EXPORTED),
            *(f"--add-opens=java.base/{name}=ALL-UNNAMED" for name in _OPENED),
            "--add-opens=jdk.management/com.sun.management.internal=ALL-UNNAMED",
            *(f"-D{name}={value}" for name, value in properties.items()),
            *("-cp", f"{jars}/*", "org.apache.cassandra.service.CassandraDaemon"),
        ]

    def _tls(self) -> dict[str, Any]:
        if not self.authenticate:
            return {}  # Its files are read as soon as they are named.
        options = {
            "enabled": True,
            "optional": True,
            "ssl_context_factory": {"class_name": _PEM_FACTORY},
            "keystore": str(self.folder / "server.pem"),
        }
        return {"client_encryption_options": options}

    def _settings(self) -> dict[str, Any]:
        # Tokens of equal distance; a server alone has the middle.
        token = (self.number - 1) * 2**64 // self.count - 2**63 if self.count > 1 else 0
        # All of them, so that any of them comes back by any other: one that hears of no seed ends.
        addresses = [f"{self.network}.{number}" for number in range(1, self.count + 1)]
        seeds = [{"seeds": ",".join(addresses)}]
        seed_class = "org.apache.cassandra.locator.SimpleSeedProvider"
        return {
            "cluster_name": "meshbox",
            "num_tokens": 1,
            "initial_token": str(token),
            "authenticator": "PasswordAuthenticator"
            if self.authenticate
            else "AllowAllAuthenticator",
            "authorizer": "CassandraAuthorizer" if self.authenticate else "AllowAllAuthorizer",
            **self._tls(),
            "credentials_validity": "1h",
            "roles_validity": "1h",
            "partitioner": "org.apache.cassandra.dht.Murmur3Partitioner",
            "endpoint_snitch": "SimpleSnitch",
            "auto_bootstrap": False,
            "seed_provider": [{"class_name": seed_class, "parameters": seeds}],
            "listen_address": self.address,
            "storage_port": STORAGE_PORT,
            "rpc_address": self.address,
            "native_transport_port": CQL_PORT,
            "commitlog_sync": "group",
            "commitlog_sync_group_window": "2ms",
            "commitlog_segment_size": "16MiB",
            "commitlog_total_space": "256MiB",
            "memtable_heap_space": "96MiB",
            "memtable_offheap_space": "96MiB",
            "memtable_allocation_type": "offheap_objects",
            "file_cache_size": "64MiB",
            "key_cache_size": "8MiB",
            "networking_cache_size": "32MiB",
            "concurrent_reads": 16,
            "concurrent_writes": 32,
            "concurrent_compactors": 1,
            "auto_snapshot": False,
            "storage_compatibility_mode": "NONE",
            "uuid_sstable_identifiers_enabled": True,
            **{f"{kind}request_timeout": "10s" for kind in ("", "read_", "range_", "write_")},
        }


def check_network(network: str) -> str:
    """`network` if it is three numbers of a loopback network; else `ValueError`."""
    address = ipaddress.IPv4Address(f"{network}.1")
    if not address.is_loopback:
        raise ValueError(f"{network} is not a loopback network")
    return network
