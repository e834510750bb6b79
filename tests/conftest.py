from __future__ import annotations

from hypothesis import settings

# The same examples each time, and no bound on how long a busy machine takes for one.
settings.load_profile("ci")
