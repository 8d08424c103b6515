"""Keeps the client's log from flooding the worker's while a broker is away: count what repeats, log what is rare."""

import logging
import time

# Below WARNING the client also logs what it sends: logins, keys and values.
_LEVELS = {
    "kafka": logging.WARNING,
    "kafka.net.transport": logging.CRITICAL,  # what these say, kafka.net.manager says again
    "kafka.net.connection": logging.CRITICAL,
    "kafka.net.selector": logging.ERROR,
}
_REPEATING = (
    *("kafka.net.manager", "kafka.net.inet", "kafka.cluster", "kafka.coordinator", "kafka.coordinator.heartbeat"),
    *("kafka.producer.sender", "kafka.consumer.fetcher"),
)
_PAUSE_S = 30.0


class OncePer:
    """A log filter that lets a message (before its arguments are filled in) through once per `pause_s` seconds."""

    def __init__(self, pause_s: float) -> None:
        self._pause_s = pause_s
        self._due_s: dict[tuple[str, str], float] = {}

    def __call__(self, record: logging.LogRecord) -> bool:
        """Return whether the record is logged."""
        return self.passes(record.name, str(record.msg), time.monotonic())

    def passes(self, logger: str, message: str, now_s: float) -> bool:
        """Return whether the logger's message is due at `now_s`, and note it if so."""
        if now_s < self._due_s.get((logger, message), now_s):
            return False
        self._due_s[logger, message] = now_s + self._pause_s
        return True


def _is_news(record: logging.LogRecord) -> bool:
    """Return False for the read that fails in another task because the connection was closed on purpose."""
    return not (
        record.exc_info and isinstance(record.exc_info[1], ValueError) and "descriptor" in str(record.exc_info[1])
    )


_once = OncePer(_PAUSE_S)


def quiet_client() -> None:
    """Set the client's loggers up; a level that somebody has set stays. May be called again."""
    for name, level in _LEVELS.items():
        logger = logging.getLogger(name)
        if logger.level == logging.NOTSET:
            logger.setLevel(level)
    logging.getLogger("kafka.net.selector").addFilter(_is_news)
    for name in _REPEATING:
        logging.getLogger(name).addFilter(_once)
