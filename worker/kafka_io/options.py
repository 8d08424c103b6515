"""Options of the connection to Kafka: brokers, topics, group, security and limits."""

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, Lt, MinLen
from pydantic import AfterValidator, SecretStr
from typing_extensions import Doc

Protocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
Mechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"]
IsolationLevel = Literal["read_uncommitted", "read_committed"]
_INSTANCE_ID = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,249}")
Compression = Literal["none", "gzip", "snappy", "lz4", "zstd"]

_INT16, _INT32 = 2**15 - 1, 2**31 - 1  # what the protocol has room for
_MOST_S = _INT32 // 1000  # such times travel in milliseconds
_REQUEST_S = 30.0  # after which the client gives up a fetch
_LABEL = "[A-Za-z0-9_-]{1,63}"  # of a host's name
_SERVER = re.compile(rf"(?:\[(?P<address>[^]]+)\]|(?:{_LABEL}\.)*{_LABEL}\.?)(?::(?P<port>[0-9]{{1,5}}))?")


def _servers(text: str) -> str:
    """Return the text where every part of it names a broker; raises ValueError elsewhere."""
    if not all(_is_server(part.strip()) for part in text.split(",")):
        raise ValueError("expected host:port, several separated by commas, an IPv6 address in brackets")
    return text


def _is_server(text: str) -> bool:
    found = _SERVER.fullmatch(text)
    return (
        found is not None
        and (found["port"] is None or 0 < int(found["port"]) < 2**16)
        and (found["address"] is None or _is_ipv6(found["address"]))
    )


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaOptions:
    """Where Kafka is, how to log in, and which topics are read and written."""

    bootstrap_servers: Annotated[
        str, AfterValidator(_servers), Doc("Brokers to ask first: host:port, several separated by commas.")
    ] = "localhost:9092"
    group_id: Annotated[str, MinLen(1), Doc("Consumer group; replicas of a worker share one.")] = "rerank-worker"
    group_instance_id: Annotated[
        str | None,
        Doc("Name of this replica in the group, which keeps its partitions through a restart; each replica its own."),
    ] = None
    on_stop: Annotated[
        Literal["leave", "stay"],
        Doc(
            "What a replica with a group_instance_id does when it is asked to stop: leave, so that others take its "
            "partitions at once, or stay, so that they wait for it until its session ends."
        ),
    ] = "leave"
    request_topic: Annotated[str, MinLen(1), Doc("Topic that requests are read from.")] = "rerank-requests"
    result_topic: Annotated[str, MinLen(1), Doc("Topic that results are written to.")] = "rerank-results"
    dead_letter_topic: Annotated[str, MinLen(1), Doc("Topic that events which cannot be reranked are written to.")] = (
        "rerank-dead-letters"
    )

    key_for_keyless: Annotated[
        Literal["request_id"] | None,
        Doc(
            "Key of the result and the dead letter of a request without one, which compacted topics need: request_id, "
            "or where an event has no such id, its topic, partition and offset. No key if not given."
        ),
    ] = None

    create_topics: Annotated[bool, Doc("Make topics that are missing at the start.")] = False
    topic_partitions: Annotated[int, Gt(0), Le(_INT32), Doc("Partitions of topics that are made.")] = 6
    topic_replication: Annotated[
        int, Ge(-1), Le(_INT16), Doc("Copies of each partition of topics that are made; -1: the broker's default.")
    ] = -1

    security_protocol: Annotated[Protocol, Doc("PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL.")] = "PLAINTEXT"
    sasl_mechanism: Annotated[
        Mechanism | None, Doc("How to log in: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER.")
    ] = None
    sasl_username: Annotated[str | None, Doc("User name for PLAIN and SCRAM.")] = None
    sasl_password: Annotated[SecretStr | None, Doc("Password for PLAIN and SCRAM.")] = None
    sasl_token_file: Annotated[Path | None, Doc("File with the token for OAUTHBEARER, read again at every login.")] = (
        None
    )
    ssl_ca_file: Annotated[
        Path | None, Doc("PEM file of the authorities to trust; without it, those of the system.")
    ] = None
    ssl_cert_file: Annotated[Path | None, Doc("PEM file of the worker's own certificate.")] = None
    ssl_key_file: Annotated[Path | None, Doc("PEM file of the certificate's private key, if not in the same file.")] = (
        None
    )
    ssl_key_password: Annotated[SecretStr | None, Doc("Password of the private key.")] = None
    ssl_check_hostname: Annotated[bool, Doc("Whether the broker's certificate must name the host.")] = True

    auto_offset_reset: Annotated[
        Literal["earliest", "latest"], Doc("Where a group that has committed nothing of the topic begins.")
    ] = "earliest"
    connect_timeout_s: Annotated[float, Gt(0), Doc("Seconds to try for a first connection.")] = 15.0
    session_timeout_s: Annotated[
        float,
        Ge(0.1),
        Le(_MOST_S),
        Doc("Seconds without a heartbeat after which the group gives the partitions to others."),
    ] = 6.0
    max_poll_interval_s: Annotated[
        float, Gt(0), Le(_MOST_S), Doc("Seconds between two polls after which the worker leaves the group.")
    ] = 60.0
    fetch_wait_s: Annotated[
        float,
        Ge(0),
        Lt(_REQUEST_S),
        Doc("Seconds that a broker may hold the answer to a fetch while it has no new record."),
    ] = 0.5
    delivery_timeout_s: Annotated[
        float, Gt(0), Doc("Seconds to try to publish a record, restarts of brokers included.")
    ] = 120.0
    compression: Annotated[Compression, Doc("Compression of what is published: none, gzip, snappy, lz4 or zstd.")] = (
        "lz4"
    )
    linger_s: Annotated[float, Ge(0), Doc("Seconds that a record may wait for others, to be sent with them.")] = 0.0
    max_record_bytes: Annotated[
        int, Gt(0), Doc("Bytes of the largest record to publish; no more than the topic's max.message.bytes.")
    ] = 1_000_000

    def __post_init__(self) -> None:
        """Refuse what cannot work. Raises ValueError, which names the options."""
        if self.group_instance_id is not None and not _INSTANCE_ID.fullmatch(self.group_instance_id):
            raise ValueError(
                "group_instance_id: expected 1 to 249 of A-Z, a-z, 0-9, '.', '_' and '-', "
                f"got {self.group_instance_id!r}"
            )
        if self.security_protocol.startswith("SASL_"):
            self._check_login()
        elif self.sasl_mechanism is not None:
            raise ValueError(
                f"sasl_mechanism {self.sasl_mechanism} needs security_protocol SASL_SSL or SASL_PLAINTEXT, "
                f"got {self.security_protocol}"
            )
        if not self.security_protocol.endswith("SSL"):
            for name in ("ssl_ca_file", "ssl_cert_file", "ssl_key_file", "ssl_key_password"):
                if getattr(self, name) is not None:
                    raise ValueError(f"{name} needs security_protocol SSL or SASL_SSL, got {self.security_protocol}")
        if self.ssl_key_file is not None and self.ssl_cert_file is None:
            raise ValueError("ssl_key_file needs ssl_cert_file too")
        if self.linger_s >= self.delivery_timeout_s:
            raise ValueError(
                f"linger_s {self.linger_s:g} needs a larger delivery_timeout_s, got {self.delivery_timeout_s:g}"
            )

    def _check_login(self) -> None:
        mechanism = self.sasl_mechanism
        if mechanism is None:
            raise ValueError(f"security_protocol {self.security_protocol} needs sasl_mechanism")
        if mechanism == "OAUTHBEARER":
            if self.sasl_token_file is None:
                raise ValueError("sasl_mechanism OAUTHBEARER needs sasl_token_file")
        elif self.sasl_username is None or self.sasl_password is None:
            raise ValueError(f"sasl_mechanism {mechanism} needs sasl_username and sasl_password")
