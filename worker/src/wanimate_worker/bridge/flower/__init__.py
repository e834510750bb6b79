"""Flower as this queue runs it: closed to strangers, and telling what the ledger knows."""
