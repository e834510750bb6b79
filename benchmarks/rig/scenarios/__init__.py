"""The scenarios: each is a function that takes a profile and returns figures."""
