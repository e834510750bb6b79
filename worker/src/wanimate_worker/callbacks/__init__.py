"""The callback receiver: the vendor tells that a task has ended, and a worker checks its job at once."""
