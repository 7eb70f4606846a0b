"""Names of images as people write them."""

import argparse

from twisted.trial.unittest import SynchronousTestCase

from regcache.ctl.naming import image_name

DIGEST = f"sha256:{'ab' * 32}"


class NamingTests(SynchronousTestCase):
    """What is written, and what it means."""

    def test_names(self) -> None:
        """As docker reads them."""
        for text, name, tag, digest in (
            ("nginx", "docker.io/library/nginx", "", ""),
            ("nginx:1.29", "docker.io/library/nginx", "1.29", ""),
            ("bitnami/redis", "docker.io/bitnami/redis", "", ""),
            ("docker.io/nginx", "docker.io/library/nginx", "", ""),
            ("index.docker.io/library/nginx:1", "docker.io/library/nginx", "1", ""),
            ("quay.io/org/app:v1", "quay.io/org/app", "v1", ""),
            ("GHCR.io/org/app", "ghcr.io/org/app", "", ""),
            ("localhost:5000/app", "localhost:5000/app", "", ""),
            ("localhost:5000/app:x", "localhost:5000/app", "x", ""),
            (f"nginx@{DIGEST}", "docker.io/library/nginx", "", DIGEST),
            (f"nginx:1@{DIGEST}", "docker.io/library/nginx", "1", DIGEST),
        ):
            found = image_name(text)
            self.assertEqual((found.name, found.tag, found.digest), (name, tag, digest), text)
            self.assertEqual(found.is_repository, not (tag or digest), text)

    def test_reference(self) -> None:
        """A digest says more than a tag, and a repository alone means latest."""
        self.assertEqual(image_name("nginx").reference, "latest")
        self.assertEqual(image_name(f"nginx:1@{DIGEST}").reference, DIGEST)
        self.assertEqual(str(image_name("nginx:1")), "docker.io/library/nginx:1")
        self.assertEqual(str(image_name(f"nginx@{DIGEST}")), f"docker.io/library/nginx@{DIGEST}")

    def test_wrong(self) -> None:
        """What is none is refused, with what to write."""
        for text in (
            "",
            "Nginx",
            "nginx:",
            "nginx:a b",
            "nginx@sha256:7",
            "quay.io/",
            ":x",
            "a//b",
        ):
            self.assertRaises(argparse.ArgumentTypeError, image_name, text)
