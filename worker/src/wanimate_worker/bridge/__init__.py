"""The bridge: all that touches Celery, kombu, billiard or Flower. `private.py` lists what of them is not public."""
