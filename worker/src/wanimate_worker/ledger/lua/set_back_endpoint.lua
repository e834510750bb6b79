-- Plans the webhooks of an endpoint earlier, by as much (ms) as the clock was set back.
-- Uses: clock, endpoint
-- Returns: nothing
plan_earlier(endpoint, step_ms)
plan_earlier(sending, step_ms)
schedule_endpoint()
