-- Gives a caller that follows another job that job's outcome, once there is one.
-- KEYS: job (the caller's record), due, job of the leader, followers of the leader
-- ARGV: id of the caller's record, lease (ms), outcome if the leader's record is lost (JSON)
-- Returns: 1 if it must be resumed, to be delivered; 0 if its leader goes on, or it follows nobody any more
local id, now = ARGV[1], now_ms()
if redis.call('HGET', KEYS[1], 'stage') ~= 'following' then
  return 0
end
local leader = redis.call('HMGET', KEYS[3], 'stage', 'outcome')
redis.call('ZADD', KEYS[2], now + tonumber(ARGV[2]), id)
if leader[1] and not leader[2] then
  return 0
end
redis.call('HSET', KEYS[1], 'stage', 'settled', 'outcome', leader[2] or ARGV[3], 'settled_at_ms', now)
note(KEYS[1], now, 'settled', leader[1] and 'its leader has ended' or 'the record of its leader is lost')
redis.call('SREM', KEYS[4], id)
return 1
