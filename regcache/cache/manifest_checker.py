"""Checks manifests against their names, before a client gets a byte of them."""

from regcache.cache.policy import ServedUpstream
from regcache.digests import Digest
from regcache.errors import UpstreamBadAnswer, UpstreamWrongBytes
from regcache.facts import Manifest, ManifestAnswer
from regcache.interfaces import ICacheEvents
from regcache.manifest_body import InvalidManifestError, ManifestBody, parse_manifest
from regcache.parsing import Parser


class ManifestChecker:
    """Checks and parses manifests; large ones outside of the reactor's thread.

    :param events: is told of bodies that have another digest than they should.
    """

    def __init__(self, parser: Parser, events: ICacheEvents) -> None:
        self._parser = parser
        self._events = events

    async def check(
        self, upstream: ServedUpstream, reference: str, answer: ManifestAnswer
    ) -> tuple[Digest, ManifestBody]:
        """Check the digest of a body against what was asked for and claimed, and parse the body.

        :param reference: the tag or digest that was asked for.
        :returns: the digest, and the parsed body.
        :raises UpstreamBadAnswer: if the digest is another, or the body is no manifest.
        """
        asked = Digest.parse(reference) if ":" in reference else None
        expected = asked or answer.claimed
        try:
            return await self._parser.run(len(answer.content), _check, answer, expected)
        except _WrongDigestError:
            self._events.digest_mismatch(upstream.name)
            raise UpstreamWrongBytes(upstream.name, "the manifest fails its digest") from None
        except InvalidManifestError as error:
            raise UpstreamBadAnswer(upstream.name, f"no valid manifest: {error}") from error

    async def parse(self, upstream: ServedUpstream, manifest: Manifest) -> ManifestBody:
        """Parse a verified manifest.

        :raises UpstreamBadAnswer: if it is not valid: earlier versions may have stored such ones.
        """
        content, media_type = manifest.content, manifest.media_type
        try:
            return await self._parser.run(len(content), parse_manifest, content, media_type)
        except InvalidManifestError as error:
            raise UpstreamBadAnswer(upstream.name, f"no valid manifest: {error}") from error


class _WrongDigestError(Exception):
    """A body has another digest than it should."""


def _check(answer: ManifestAnswer, expected: Digest | None) -> tuple[Digest, ManifestBody]:
    """The digest of a body, and the body parsed."""
    algorithm = "sha256" if expected is None else expected.algorithm
    digest = Digest.of(answer.content, algorithm)
    if expected is not None and digest != expected:
        raise _WrongDigestError
    return digest, parse_manifest(answer.content, answer.media_type)
