"""Flower with access control and the present state of jobs from the ledger."""
