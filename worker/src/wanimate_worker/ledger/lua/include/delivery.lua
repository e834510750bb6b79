-- The delivery of an outcome.
-- Keys: request
-- Uses: job
-- Settings: result_ttl_ms, failed_ttl_ms

-- Closes the record of a job whose outcome was delivered; it lives on for as long as the result does. That of a failed job
-- lives longer and keeps its message, so that it can be run again.
local function close_record(record, also_dropped)
  local dropped = {'delivering_until_ms', 'rank', 'nonce', 'hint', 'hint_by', 'next_check_ms', 'unreadable_why',
    'unreadable_since_ms'}
  if not record.has_failed then
    dropped[#dropped + 1] = 'message'
  end
  append(dropped, also_dropped)
  transition(record, 'delivered', 'result stored', nil, nil, dropped)
  redis.call('PEXPIRE', job, record.has_failed and failed_ttl_ms or result_ttl_ms)
  if record.has_key == '1' then
    -- The key is free again when the result is gone.
    redis.call('SET', request, record.fingerprint, 'PX', result_ttl_ms)
  end
end
