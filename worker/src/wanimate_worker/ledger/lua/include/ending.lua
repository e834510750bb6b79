-- The end of a job.
-- Keys: failed, keeping
-- Uses: job, counters, events
-- Settings: lease_ms, failed_ttl_ms

-- Settles the job with its outcome, which must be delivered until a lease ends, and counts it, with other counts. One that
-- failed is listed for the operator; the list lives as long as its newest entry. Where it is delivered in the same script,
-- that writes both steps.
local function end_job(record, cause, fields, dropped, counts, is_delivered)
  local set, has_failed = {'outcome', outcome, 'event_id', write_event(record, outcome)}, outcome_kind == 'failed'
  append(set, fields)
  if has_failed then
    record.has_failed = '1'
    append(set, {'has_failed', 1})
  end
  take_step(record, 'settled', cause)
  if is_delivered then
    append(record.fields, set)
  else
    write_steps(record, now_ms() + lease_ms, set, dropped)
  end
  if has_failed then
    redis.call('ZADD', failed, now_ms(), job_id)
    redis.call('PEXPIRE', failed, failed_ttl_ms)
  end
  counts = counts or {}
  append(counts, {table.concat({'ended', outcome_kind}, ':'), 1})
  count(counters, counts)
end

-- Whether the video of a job is copied before its outcome is delivered.
local function is_to_keep()
  return outcome_kind == 'succeeded' and address_of('keep_url') ~= nil
end

-- Puts the job among those whose videos are copied, before the vendor stops serving them; it is settled after that.
local function keep_job(record, cause, fields, dropped)
  local expires_ms = whole(outcome_expires_ms or now_ms() + 86400000)
  local set = {'rendered', outcome, 'expires_at_ms', expires_ms}
  append(set, fields)
  transition(record, 'keeping', cause, nil, set, dropped)
  redis.call('ZADD', keeping, expires_ms, job_id)
end
