"""``python -m regcache.ctl`` is regcachectl."""

import sys

from regcache.ctl.main import main

sys.exit(main())
