"""Copies finished videos to the account's store, before their outcomes are delivered."""
