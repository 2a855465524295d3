"""Every error that Palate raises on purpose. Each message is a sentence: what, where, how to mend it.

::

    PalateError                      500
    ├── InvalidInput                 422   a value that breaks the wire's rules
    │   ├── MalformedBody            400   not JSON, not UTF-8, not NDJSON
    │   ├── UnsupportedMediaType     415
    │   └── TooLarge                 413   body or text over its limit
    ├── Unauthorized                 401   no key, or an unknown one
    ├── Forbidden                    403   Host, Origin or scope not allowed
    ├── NotFound                     404
    │   └── Gone                     410   a decision that has expired
    ├── Conflict                     409   a directory that is locked, a model that cannot be activated
    │   └── Locked                   409   another process holds the directory
    ├── Overloaded                   429   back-pressure; ``retry_after`` seconds
    ├── Unavailable                  503   the disk refuses to write, or Palate is closing
    ├── ConfigError                  500   unknown key or bad value in palate.toml or the environment
    ├── CorruptArtefact              500   checksum, shape or manifest mismatch
    └── MissingExtra                 500   an optional package is not installed
"""

from __future__ import annotations


class PalateError(Exception):
    """Base of all. ``status`` is the HTTP status, ``code`` the wire's machine-readable word,
    ``where`` the path of the offending value (``items[3].id``) when there is one."""

    status = 500
    code = "internal"

    def __init__(self, message: str, where: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.where = where


class InvalidInput(PalateError):
    status = 422
    code = "invalid"


class MalformedBody(InvalidInput):
    status = 400
    code = "malformed"


class UnsupportedMediaType(InvalidInput):
    status = 415
    code = "media_type"


class TooLarge(InvalidInput):
    status = 413
    code = "too_large"


class Unauthorized(PalateError):
    status = 401
    code = "unauthorized"


class Forbidden(PalateError):
    status = 403
    code = "forbidden"


class NotFound(PalateError):
    status = 404
    code = "not_found"


class Gone(NotFound):
    status = 410
    code = "gone"


class Conflict(PalateError):
    status = 409
    code = "conflict"


class Locked(Conflict):
    code = "locked"


class Overloaded(PalateError):
    status = 429
    code = "overloaded"

    def __init__(self, message: str, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Unavailable(PalateError):
    status = 503
    code = "unavailable"


class ConfigError(PalateError):
    code = "config"


class CorruptArtefact(PalateError):
    code = "corrupt"


class MissingExtra(PalateError):
    """An optional dependency is missing; the message names the package and the extra to install."""

    code = "missing_extra"

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the package {package!r}, which is not installed: pip install 'palate[{extra}]'"
        )
        self.package = package
        self.extra = extra
