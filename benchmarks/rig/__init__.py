"""The rig: it starts a server, a simulator and one contender, gives it jobs, and lets the ground truth judge."""
