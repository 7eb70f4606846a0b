"""What the API knows of the configuration file, and reloads: a part of the composition root."""

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from regcache.admin.api import config_call
from regcache.admin.api.call_problems import UnavailableProblem, WrongConfigProblem
from regcache.config import model
from regcache.config.loading import Loaded
from regcache.config.printing import long_form
from regcache.light_dataclass import dataclass
from regcache.reloading import Reloaded, Reloader, ReloadRefusedError, WrongConfigurationError


@dataclass(frozen=True, slots=True)
class Reloads:
    """What the API knows of the configuration file.

    :ivar loaded: gives it as it is in force.
    :ivar reloader: gives what reads it again.
    """

    loaded: Callable[[], Loaded]
    reloader: Callable[[], Reloader]

    def reload(self) -> "Deferred[dict[str, Any]]":
        """What POST reload answers."""
        return self.reloader().ask().addCallbacks(_reloaded, _not_reloaded)

    @property
    def read_at(self) -> float:
        """When what is in force was read (Unix seconds)."""
        return self.reloader().loaded

    @property
    def last_error(self) -> tuple[float, Sequence[str]] | None:
        """When the file was kept out (Unix seconds), and why; None where it is in force."""
        return self.reloader().last_error

    def facts(self, config: model.Config) -> config_call.ConfigFacts:
        """What GET config answers."""
        loaded, reloader = self.loaded(), self.reloader()
        refused = reloader.last_error
        return config_call.ConfigFacts(
            long_form(config),
            reloader.loaded,
            file=loaded.name,
            lines=loaded.lines,
            last_error=None if refused is None else config_call.RefusedConfig(*refused),
        )


def _reloaded(done: Reloaded) -> dict[str, Any]:
    return {name: list(getattr(done, name)) for name in ("changed", "restart", "warnings")}


def _not_reloaded(failure: Failure) -> Any:
    error: Any = failure.value
    if failure.check(WrongConfigurationError):
        why = "the configuration is wrong and not taken; the one before stays in force"
        raise WrongConfigProblem(why, params={"errors": error.lines})
    if failure.check(ReloadRefusedError):
        raise UnavailableProblem(str(error))
    return failure
