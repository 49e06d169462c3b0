"""Whose certificates are believed: the system's, those of SSL_CERT_FILE and SSL_CERT_DIR, and a private CA's."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from orchestra.errors import ConfigError

if TYPE_CHECKING:
    import ssl


class Trust:
    """The roots that servers are checked against: the usual ones, and those of the PEM file `ca`.

    The usual ones are OpenSSL's, which SSL_CERT_FILE and SSL_CERT_DIR replace, or certifi's where the system has none.
    Raises ConfigError for a file that is not there or holds no certificate.
    """

    def __init__(self, ca: str | None = None) -> None:
        _check_environment()
        # 20 ms, for nothing where all models are local; but what is wrong with a file is told at once.
        self._context = _context(ca) if ca is not None else None

    @property
    def context(self) -> ssl.SSLContext:
        """One for all connections, made when first needed."""
        if self._context is None:
            self._context = _context(None)
        return self._context


def _check_environment() -> None:
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        path = os.environ.get(name)
        if path and not Path(path).exists():
            raise ConfigError(f"{name} names {path!r}, which is not there; unset it, or give the path of certificates")


def _context(ca: str | None) -> ssl.SSLContext:
    import ssl

    context = ssl.create_default_context()
    if not _has_roots(ssl.get_default_verify_paths()):
        import certifi

        context.load_verify_locations(certifi.where())
    if ca is not None:
        try:
            context.load_verify_locations(ca)
        except OSError as error:  # an SSLError is one
            raise ConfigError(f"ca {ca!r} is no readable file of PEM certificates: {error}") from None
    context.set_alpn_protocols(["http/1.1"])
    return context


def _has_roots(system: ssl.DefaultVerifyPaths) -> bool:
    return bool(system.cafile or (system.capath and any(Path(system.capath).iterdir())))
