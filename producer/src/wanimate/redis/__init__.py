"""Redis: its address, connection pools, Celery settings, and what clients read and write."""
