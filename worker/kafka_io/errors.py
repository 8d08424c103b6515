"""Says in one line what the client's errors mean, with the exit code that fits."""

import re
from collections.abc import Sequence

from kafka import errors as kafka_errors

from worker.exits import Exit, StopError
from worker.kafka_io.fixes.sockets import NO_HANDSHAKE
from worker.kafka_io.options import KafkaOptions

_LOGIN = (
    kafka_errors.SaslAuthenticationFailedError,
    kafka_errors.UnsupportedSaslMechanismError,
    kafka_errors.IllegalSaslStateError,
)
_UNREACHABLE = (
    kafka_errors.KafkaConnectionError,
    kafka_errors.NodeNotReadyError,
    kafka_errors.KafkaTimeoutError,
)
# Words of OpenSSL's errors, which the client passes on as text, and what they say.
_TLS = (
    ("CERTIFICATE_VERIFY_FAILED", "the broker's certificate is not trusted"),
    ("CERTIFICATE_REQUIRED", "the broker asks for a client certificate; set ssl_cert_file"),
    ("CERTIFICATE_EXPIRED", "the broker says that the worker's certificate has expired"),
    # What Kafka's brokers say of any that they do not trust, also of one that has expired.
    ("CERTIFICATE_UNKNOWN", "the broker does not accept the worker's certificate; see whether it has expired"),
    ("BAD_CERTIFICATE", "the broker does not accept the worker's certificate"),
    ("UNKNOWN_CA", "the broker does not trust the worker's certificate"),
    ("WRONG_VERSION_NUMBER", "the broker does not speak TLS at this port; check security_protocol"),
    ("HANDSHAKE_FAILURE", "the broker refused the TLS handshake; it may ask for a client certificate"),
    ("UNEXPECTED_EOF", "the broker hung up in the TLS handshake; check security_protocol"),
    ("[SSL", "the TLS handshake failed"),
)
_HUNG_UP = "socket disconnected"
_SURE = 2  # hang-ups during the login that make a refusal of it; a single one may be a broker that stops


def connection_trouble(causes: Sequence[BaseException], options: KafkaOptions, *, answers: int = 0) -> StopError:
    """Return the error that the causes of a failed connection amount to; UNREACHABLE where none says more.

    `answers` counts the times that a broker said its version, which comes before the login. A refused login is
    usually seen as a hang-up alone: the client throws away what it receives together with the end of the connection.
    """
    servers = options.bootstrap_servers
    for cause in causes:
        if isinstance(cause, _LOGIN):
            return _refused_login(cause, options)
        if isinstance(cause, kafka_errors.KafkaConfigurationError):
            return StopError(Exit.USAGE, f"{servers}: the options do not fit together: {_brief(cause)}")
    if tls := _tls_trouble(causes, options):
        return tls
    for cause in causes:
        if isinstance(cause, OSError) and options.sasl_token_file is not None:
            return StopError(Exit.LOGIN, f"{servers}: could not log in: {_brief(cause)}")
    said = [_brief(cause) for cause in causes if not isinstance(cause, kafka_errors.KafkaTimeoutError)]
    hint = "check bootstrap_servers and that the broker runs"
    if any(_HUNG_UP in reason for reason in said):
        if answers >= _SURE and options.sasl_mechanism:
            return _refused_login(None, options)
        hint = "a broker is there but hangs up; check security_protocol"
    elif any(NO_HANDSHAKE in reason for reason in said):
        hint = "check bootstrap_servers and security_protocol"
    reason = said[-1] if said else "no answer"
    return StopError(
        Exit.UNREACHABLE, f"{servers}: no connection within {options.connect_timeout_s:g} s: {reason}; {hint}"
    )


def _tls_trouble(causes: Sequence[BaseException], options: KafkaOptions) -> StopError | None:
    for words, usual in _TLS:
        for cause in causes:
            if words in str(cause).upper():
                wanted = words == "BAD_CERTIFICATE" and options.ssl_cert_file is None
                meaning = "the broker asks for a client certificate; set ssl_cert_file" if wanted else usual
                return StopError(Exit.CERTIFICATE, f"{options.bootstrap_servers}: {meaning} ({_brief(cause)})")
    return None


def running_trouble(
    error: BaseException, options: KafkaOptions, *, topics: Sequence[str] = (), topic_operation: str = "Read"
) -> StopError:
    """Return the error that ends the worker for what a call of the client raised once it was connected.

    `topics` are what the call was about, the request topic if not given, for errors that name none; `topic_operation`
    is what it does to them, as an ACL names it: Read, Write, Create.
    """
    topic = " or ".join(dict.fromkeys(topics or (options.request_topic,)))
    if isinstance(error, StopError):
        return error
    # The failure to get a producer id, which a missing ACL for any topic causes too, has the class's name in its text.
    if isinstance(error, kafka_errors.AuthorizationError) or "AuthorizationFailedError" in str(error):
        return _missing_acl(error, options, topic, topic_operation)
    if isinstance(error, _LOGIN):
        return _refused_login(error, options)
    if isinstance(error, kafka_errors.FencedInstanceIdError):
        return StopError(
            Exit.FENCED,
            f"group instance id {options.group_instance_id} was taken: another process has joined group "
            f"{options.group_id} with it (each replica needs its own, see --group-instance-id); what was not committed "
            "is that one's to do",
        )
    code, meaning = _meaning(error, options, topic)
    return StopError(code, f"{options.bootstrap_servers}: {meaning}: {_brief(error)}")


def _meaning(error: BaseException, options: KafkaOptions, topic: str) -> tuple[Exit, str]:
    match error:
        case kafka_errors.CorruptRecordError():
            return Exit.CORRUPT, f"a record of topic {topic} is corrupt"
        case kafka_errors.UnsupportedCodecError():
            return Exit.USAGE, f"topic {topic} has a compression that cannot be read"
        case kafka_errors.InconsistentGroupProtocolError():
            return Exit.GROUP, (
                f"another consumer with another assignor is in group {options.group_id}: all of a group must know "
                "cooperative-sticky; stop it, set its partition.assignment.strategy to CooperativeStickyAssignor, or "
                "give the workers a group of their own with --group-id"
            )
        case kafka_errors.InvalidSessionTimeoutError():
            between = "group.min.session.timeout.ms and group.max.session.timeout.ms"
            return Exit.USAGE, f"session_timeout_s: expected between {between}, got {options.session_timeout_s:g} s"
        case _ if isinstance(error, _UNREACHABLE):
            return Exit.UNREACHABLE, "a broker could not be reached at the address that it advertises"
        case _:
            return Exit.CRASH, f"Kafka failed with {type(error).__name__}"


def _missing_acl(error: BaseException, options: KafkaOptions, topic: str, topic_operation: str) -> StopError:
    match error:
        case kafka_errors.TopicAuthorizationFailedError():
            return forbidden(options, topic_operation, f"topic {_resources(error) or topic}")
        case kafka_errors.GroupAuthorizationFailedError():
            return forbidden(options, "Read", f"group {options.group_id}")
        case _:  # a producer gets its id where it may write to any topic at all
            return forbidden(options, topic_operation, "any topic")


def forbidden(options: KafkaOptions, operation: str, resource: str) -> StopError:
    """Return the error for a missing ACL."""
    user = f"user {options.sasl_username}" if options.sasl_username else "the worker's user"
    return StopError(
        Exit.FORBIDDEN,
        f"{options.bootstrap_servers}: {user} may not {operation} {resource}; add an ACL that allows it",
    )


def _refused_login(cause: BaseException | None, options: KafkaOptions) -> StopError:
    """Return the error for a refused login; the cause is None where the broker merely hung up."""
    user = f" of user {options.sasl_username}" if options.sasl_username else ""
    reason = "it hung up during the login" if cause is None else _brief(cause)
    where = "sasl_token_file" if options.sasl_token_file else "sasl_username and sasl_password"
    if isinstance(cause, kafka_errors.IllegalSaslStateError):
        where += f", and security_protocol {options.security_protocol}: a listener without a login answers so"
    return StopError(
        Exit.LOGIN,
        f"{options.bootstrap_servers}: the broker refused the login{user} with {options.sasl_mechanism}: "
        f"{reason}; check sasl_mechanism, {where}",
    )


def _resources(error: BaseException) -> str:
    """Return the names that the client put into the error: a set of topics, or one."""
    names: list[str] = []
    for argument in error.args:
        names.extend(argument if isinstance(argument, set | frozenset | list | tuple) else [str(argument)])
    return ", ".join(sorted(map(str, names)))


def _brief(error: BaseException) -> str:
    """Return what the error says without the class names that the client puts before, and OpenSSL's line numbers."""
    text = re.sub(r"^(\w+: )+(?=\S)", "", " ".join(str(error).split()))
    return re.sub(r" \(_ssl\.c:\d+\)", "", text) or type(error).__name__
