"""The engine: submits jobs, polls tasks, delivers outcomes. It knows the ledger and the vendor, not Celery."""
