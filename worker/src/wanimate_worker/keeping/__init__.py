"""Copies finished videos to the account's store, before their callers are told."""
