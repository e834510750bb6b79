"""Wanimate: enqueue Wan 2.2 Animate jobs; get each result once and pay for it once."""
