"""The bridge: all that touches Celery, kombu or Flower. `private.py` lists what of them is not public."""
