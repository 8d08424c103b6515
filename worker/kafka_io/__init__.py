"""Everything Kafka: options, a consumer of raw records, a producer that reports deliveries, and checks at the start."""

from worker.kafka_io.compaction import check_compaction
from worker.kafka_io.consumer import Consumer
from worker.kafka_io.group_offsets import CommitRefused, PendingCommit
from worker.kafka_io.jumps import Jump
from worker.kafka_io.options import IsolationLevel, KafkaOptions
from worker.kafka_io.producer import Producer
from worker.kafka_io.rebalance import Rebalance
from worker.kafka_io.topic_settings import TopicSettings, record_limits
from worker.kafka_io.topics import check_topics
from worker.kafka_io.transactions import KeyWantedInTransaction, TransactionalProducer, TransactionFailed
from worker.kafka_io.writer import KeyWanted, RecordTooLarge

__all__ = [
    "CommitRefused",
    "Consumer",
    "IsolationLevel",
    "Jump",
    "KafkaOptions",
    "KeyWanted",
    "KeyWantedInTransaction",
    "PendingCommit",
    "Producer",
    "Rebalance",
    "RecordTooLarge",
    "TopicSettings",
    "TransactionFailed",
    "TransactionalProducer",
    "check_compaction",
    "check_topics",
    "record_limits",
]
