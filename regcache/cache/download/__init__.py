"""One machine for blobs that are being fetched, large or small."""
