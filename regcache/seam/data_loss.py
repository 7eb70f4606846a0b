"""What a chunked body fails with that ends too early.

Private: ``_DataLoss`` of ``twisted.web.http``.

Why: the connection broke off then, which another attempt may mend. Without the name it looks
like an answer that makes no sense.

Replaced by: a public exception.
"""

from twisted.web.http import _DataLoss as DataLoss

__all__ = ["DataLoss"]
