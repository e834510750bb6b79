-- Records why a video could not be copied, and retries it after a delay (ms).
-- Keys: keeping, keeping_later
-- Uses: job, counters
-- Returns: whether the job's video is still to be copied; if not, it is taken off the lists.
local record = read_job('expires_at_ms')
redis.call('ZREM', keeping, job_id)
if record.stage ~= 'keeping' then
  redis.call('ZREM', keeping_later, member)
  return false
end
count(counters, {'copies:failed', 1})
redis.call('HINCRBY', job, 'keep_tries', 1)
redis.call('HSET', job, 'keep_why', why)
redis.call('ZADD', keeping_later, now_ms() + delay_ms, member)
return true
