-- Records that the answers about a running job's task cannot be read, since when and why, or that they can be read
-- again.
-- Uses: job
-- Returns: whether this attempt is the job's.
local record = read_job('nonce', 'unreadable_since_ms')
if record.stage ~= 'running' or record.nonce ~= nonce then
  return false
end
if why == '' then
  redis.call('HDEL', job, 'unreadable_why', 'unreadable_since_ms')
else
  redis.call('HSET', job, 'unreadable_why', why, 'unreadable_since_ms', record.unreadable_since_ms or whole(now_ms()))
end
return true
