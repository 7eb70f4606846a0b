"""Downloads: how blobs are fetched from upstreams, stored, and sent to many readers at once."""
