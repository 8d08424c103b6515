"""Has a broker put its own clock's time on the records of a topic: when each was acknowledged, whoever sent it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import KafkaError

from worker.kafka_io.connect import connect

if TYPE_CHECKING:
    from worker.kafka_io import KafkaOptions

_SETTING = {"message.timestamp.type": "LogAppendTime"}


def stamp_by_broker(options: KafkaOptions) -> bool:
    """Return whether results will carry the time when the broker appended them; else it is that of their producer.

    Where the broker cannot do it, the times are earlier by the way to the broker, a few milliseconds for all alike.
    """
    admin = connect(KafkaAdminClient, options)
    try:
        admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, options.result_topic, configs=_SETTING)])
    except (ValueError, KafkaError):  # the client's word for a setting that the broker does not know, and a refusal
        return False
    finally:
        admin.close()
    return True
