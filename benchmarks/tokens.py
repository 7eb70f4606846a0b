"""The Bearer token that both upstreams demand, the same for everybody."""

TOKEN = "benchmark-token"
TOKEN_ANSWER = b'{"token":"benchmark-token","expires_in":3600}'
CHALLENGE = (
    'Bearer realm="{scheme}://{host}/token",service="bench",scope="repository:library/bench:pull"'
)
AUTHORIZATION = f"Authorization: Bearer {TOKEN}"
