-- Gives a caller that follows another job that job's outcome, once there is one.
-- Keys: leader, followers
-- Uses: job
-- Settings: lease_ms
-- Returns: whether it must be delivered; else its leader goes on, or it follows none any more.
local record = read_job()
if record.stage ~= 'following' then
  return false
end
local led = redis.call('HMGET', leader, 'stage', 'outcome')
local lease_end = now_ms() + lease_ms
if led[1] and not led[2] then
  redis.call('ZADD', due, lease_end, job_id)
  return false
end
local cause = led[1] and 'its leader has ended' or 'the record of its leader is lost'
transition(record, 'settled', cause, lease_end, {'outcome', led[2] or outcome_if_lost})
redis.call('SREM', followers, job_id)
return true
