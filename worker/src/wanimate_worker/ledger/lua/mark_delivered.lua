-- Records that the outcome was delivered; the record lives on for as long as the result does. That of a failed job
-- lives longer and keeps its message, so that it can be run again.
-- Keys: request, followers, result
-- Uses: job
-- Settings: result_ttl_ms, failed_ttl_ms
-- Returns: {1, followers that must be concluded...}; {0} when there was nothing to deliver; {-1} when this server does not
--          have the result.
local record = read_job('fingerprint', 'has_key', 'is_followed', 'has_failed')
if record.stage ~= 'settled' then
  if record.stage == 'delivered' then
    redis.call('ZREM', due, job_id)
  end
  return {0}
end
if result then
  local stored = redis.call('GET', result)
  -- Celery keeps there that the job has started, too.
  if not stored or cjson.decode(stored).status == 'STARTED' then
    return {-1}
  end
end
local dropped = {'delivering_until_ms', 'rank', 'nonce', 'hint', 'hint_by', 'look_at_ms', 'unreadable_why',
  'unreadable_since_ms'}
if not record.has_failed then
  dropped[#dropped + 1] = 'message'
end
transition(record, 'delivered', 'result stored', nil, nil, dropped)
redis.call('PEXPIRE', job, record.has_failed and failed_ttl_ms or result_ttl_ms)
if record.has_key == '1' then
  -- The key is free again when the result is gone.
  redis.call('SET', request, record.fingerprint, 'PX', result_ttl_ms)
end
local ended = record.is_followed and redis.call('SMEMBERS', followers) or {}
table.insert(ended, 1, 1)
return ended
