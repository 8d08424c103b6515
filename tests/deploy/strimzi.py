"""What the component strimzi asks for, made on a broker by the client: topics, and the rights of a user with SCRAM."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kafka.admin import (
    ACL,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    NewTopic,
    ResourcePattern,
    ResourceType,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

# Of a broker with SCRAM and rights, on which whoever comes without a login may do everything.
SCRAM = {
    "sasl.enabled.mechanisms": "SCRAM-SHA-512",
    "listener.name.sasl_plaintext.scram-sha-512.sasl.jaas.config": (
        "org.apache.kafka.common.security.scram.ScramLoginModule required;"
    ),
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "super.users": "User:ANONYMOUS",
}
_KINDS = {"topic": ResourceType.TOPIC, "group": ResourceType.GROUP, "transactionalId": ResourceType.TRANSACTIONAL_ID}
_OPERATIONS = {
    "Read": ACLOperation.READ,
    "Write": ACLOperation.WRITE,
    "DescribeConfigs": ACLOperation.DESCRIBE_CONFIGS,
}
_PATTERNS = {"literal": ACLResourcePatternType.LITERAL, "prefix": ACLResourcePatternType.PREFIXED}


def new_topic(resource: dict[str, Any], **more: str) -> NewTopic:
    """Return the topic of a KafkaTopic, on the one broker that there is, with more settings."""
    settings = {name: str(value) for name, value in resource["spec"]["config"].items()} | {"min.insync.replicas": "1"}
    name, partitions = resource["metadata"]["name"], resource["spec"]["partitions"]
    return NewTopic(name, num_partitions=partitions, replication_factor=1, topic_configs=settings | more)


def acls(user: dict[str, Any]) -> Iterator[ACL]:
    """Yield the rights of a KafkaUser."""
    for rule in user["spec"]["authorization"]["acls"]:
        resource = rule["resource"]
        pattern = _PATTERNS[resource.get("patternType", "literal")]
        what = ResourcePattern(_KINDS[resource["type"]], resource["name"], pattern)
        for operation in rule["operations"]:
            yield ACL(f"User:{user['metadata']['name']}", "*", _OPERATIONS[operation], ACLPermissionType.ALLOW, what)
