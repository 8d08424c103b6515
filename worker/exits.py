"""Exit codes, and the error that ends the process with one clear line and one of them."""

from enum import IntEnum


class Exit(IntEnum):
    """What the process's exit status says; docs/operations.md tells an operator what to do about each."""

    OK = 0
    CRASH = 1  # a defect: the log has the traceback
    USAGE = 2  # an option is wrong
    MODEL = 3  # the model cannot be loaded or is not a one-label cross-encoder
    UNREACHABLE = 4  # no broker answers at the address
    LOGIN = 5  # the broker refused the login
    CERTIFICATE = 6  # TLS: untrusted, expired or missing certificate
    FORBIDDEN = 7  # an ACL is missing
    TOPIC = 8  # a topic does not exist, or takes no record without a key
    DELIVERY = 9  # a result or dead letter could not be published
    PORT = 10  # the HTTP port is taken, or its address is not this machine's
    STUCK = 11  # no transaction could be finished for too long
    FENCED = 12  # another process has the transactional id, or the group instance id
    DEAD_LETTERS = 13  # too many events became dead letters
    STUCK_POLL = 14  # the watchdog: the main loop stands still,
    STUCK_SCORER = 15  # the scorer does,
    STUCK_PUBLISHER = 16  # the publisher or the producer's thread does,
    STUCK_COMMIT = 17  # or nothing could be committed for too long
    CORRUPT = 18  # records of the request topic cannot be read
    GROUP = 19  # a member of the consumer group shares partitions in another way


# What is raised to end a thread or the process, or a generator. All else that is raised while one event is worked on
# may be that event's fault, also what is no Exception: a panic in a library that is written in Rust is none.
ENDS = (KeyboardInterrupt, SystemExit, GeneratorExit)


class StopError(Exception):
    """Ends the worker. The message says what was expected, what came and what to do; nothing else is printed."""

    def __init__(self, code: Exit, message: str) -> None:
        super().__init__(message)
        self.code = code
