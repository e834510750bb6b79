-- Records that the outcome was delivered.
-- Keys: followers, result
-- Uses: job, delivery
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
close_record(record)
local ended = record.is_followed and redis.call('SMEMBERS', followers) or {}
table.insert(ended, 1, 1)
return ended
