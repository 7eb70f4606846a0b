"""The groups of a server's key exchange.

Private: ``_lib`` of pyOpenSSL, and ``_context`` of its contexts.

Why: OpenSSL offers X448 and secp521r1 as well, which cost much and which Mozilla's guidelines for
servers leave out (https://wiki.mozilla.org/Security/Server_Side_TLS). pyOpenSSL can choose one
group, and no list.

Replaced by: a public way to choose several.
"""

from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL

#: The best first (names of OpenSSL).
GROUPS = b"X25519:P-256:P-384"
#: Older libraries have no function that takes a list, newer ones may have but one of the names.
_FUNCTIONS = ("SSL_CTX_set1_groups_list", "SSL_CTX_set1_curves_list")


def limit_groups(context: Any) -> None:
    """Offer no other groups than :data:`GROUPS`; one of them where a list cannot be chosen.

    :param context: of pyOpenSSL.
    """
    library: Any = getattr(SSL, "_lib", None)
    functions = (getattr(library, name, None) for name in _FUNCTIONS)
    choose = next((each for each in functions if each is not None), None)
    if choose is None or choose(context._context, GROUPS) != 1:
        context.set_tmp_ecdh(ec.SECP256R1())
