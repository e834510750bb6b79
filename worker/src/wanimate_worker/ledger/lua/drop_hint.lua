-- Drops a hint that turned out wrong: the job is unknown until its bound, as if none had come. Another hint is
-- left alone.
-- Uses: job
-- Returns: whether this was the job's hint.
local record = read_job('nonce', 'hint', 'unknown_until_ms')
if record.stage ~= 'unknown' or record.nonce ~= nonce or record.hint ~= hint then
  return false
end
redis.call('HDEL', job, 'hint', 'hint_by')
redis.call('ZADD', due, record.unknown_until_ms or whole(now_ms()), job_id)
return true
