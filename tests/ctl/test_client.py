"""What is said where no daemon answers."""

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from regcache.ctl.client import DaemonClient, NoDaemonError
from regcache.ctl.locating import DaemonAddress


class NoDaemonTests(TestCase):
    """Where nothing listens."""

    async def test_the_error_says_how_to_name_another_place(self) -> None:
        """It has the path that was tried, the reason, and the options that name another one."""
        path = f"/nowhere/{self.id()}/admin.sock"
        client = DaemonClient(reactor, DaemonAddress(path))
        with self.assertRaises(NoDaemonError) as caught:
            await Deferred.fromCoroutine(client.get("status"))
        self.assertRegex(
            str(caught.exception),
            f"^no daemon answers at {path}: .*No such file.*; --socket, --url or -c says where",
        )
