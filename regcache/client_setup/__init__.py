"""How clients are set up to pull through this cache: the files, where they go, and what to type.

All of it is pure: from what is known of a configuration (:mod:`.served`) to the text of files
(:mod:`.guide`). The API, regcachectl and the page of a registry host say the same, since they
use this.
"""
