"""Turns the security options into the client's settings, and refuses files that cannot be used before connecting."""

import ssl
from pathlib import Path
from typing import Any

from kafka.net.sasl.oauth import AbstractTokenProvider

from worker.exits import Exit, StopError
from worker.kafka_io.options import KafkaOptions


class TokenFile(AbstractTokenProvider):  # type: ignore[misc]  # the client is untyped
    """Reads the token at every login, since whatever mounts the file renews it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def token(self) -> str:
        """Return the token. Raises OSError where the file cannot be read."""
        return self._path.read_text(encoding="ascii").strip()


def security_settings(options: KafkaOptions) -> dict[str, Any]:
    """Return the client's settings for the protocol, the login and TLS.

    Raises StopError for a file that is missing or no certificate, key or token: the client would find that out on its
    own thread and go on trying. File names are passed on, not their content, so that renewed certificates are seen.
    """
    settings: dict[str, Any] = {"security_protocol": options.security_protocol}
    if options.security_protocol.endswith("SSL"):
        key_password = options.ssl_key_password.get_secret_value() if options.ssl_key_password else None
        settings |= {
            "ssl_check_hostname": options.ssl_check_hostname,
            "ssl_cafile": _name(options.ssl_ca_file),
            "ssl_certfile": _name(options.ssl_cert_file),
            "ssl_keyfile": _name(options.ssl_key_file),
            "ssl_password": key_password,
        }
        _try_certificates(options, key_password)
    if options.security_protocol.startswith("SASL_"):
        settings["sasl_mechanism"] = options.sasl_mechanism
        if options.sasl_token_file is not None:
            settings["sasl_oauth_token_provider"] = _token_file(options.sasl_token_file)
        if options.sasl_password is not None:
            settings["sasl_plain_username"] = options.sasl_username
            settings["sasl_plain_password"] = options.sasl_password.get_secret_value()
    return settings


def _name(path: Path | None) -> str | None:
    return None if path is None else str(path)


def _token_file(path: Path) -> TokenFile:
    provider = TokenFile(path)
    try:
        token = provider.token()
    except (OSError, UnicodeDecodeError) as error:
        raise StopError(Exit.LOGIN, f"sasl_token_file: cannot read {path}: {_reason(error)}") from error
    if not token:
        raise StopError(Exit.LOGIN, f"sasl_token_file: {path} is empty, expected a token")
    return provider


def _try_certificates(options: KafkaOptions, key_password: str | None) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        if options.ssl_ca_file is not None:
            context.load_verify_locations(options.ssl_ca_file)
    except OSError as error:
        raise StopError(Exit.CERTIFICATE, f"ssl_ca_file: cannot use {options.ssl_ca_file}: {_reason(error)}") from error
    try:
        if options.ssl_cert_file is not None:
            # An empty password fails where one is needed; with None, OpenSSL would ask for it on the terminal.
            context.load_cert_chain(options.ssl_cert_file, options.ssl_key_file, key_password or "")
    except OSError as error:
        files = " and ".join(str(path) for path in (options.ssl_cert_file, options.ssl_key_file) if path)
        raise StopError(Exit.CERTIFICATE, f"ssl_cert_file: cannot use {files}: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error)
