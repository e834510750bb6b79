"""Redis: its address, the pools and Celery settings made from it, and what the clients read and write there."""
