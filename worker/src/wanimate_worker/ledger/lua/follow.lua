-- Records one more caller of a job, its leader: it gets the leader's outcome, now or when there is one.
-- KEYS: job (the caller's record), due, job of the leader, followers of the leader
-- ARGV: id of the caller's record, its Celery task id, id of the leader, message (JSON), request (JSON), fingerprint of
--       the request, who calls, lease (ms), how long results are kept (ms)
-- Returns: 'following': it ends when its leader ends.
--          'settled': its outcome is known; it must be resumed, to be delivered.
--          'known': this very call was recorded before; nothing was changed.
--          'taken': another call has this record; nothing was changed.
--          'leaderless': the leader has no record, or an old one; nothing was changed.
--          'conflict': the leader is for another request; nothing was changed.
local job, due, id = KEYS[1], KEYS[2], ARGV[1]
local now = now_ms()
local known = redis.call('HMGET', job, 'stage', 'request', 'caller')
if known[1] == 'settled' and not known[2] then
  -- Cancelled in advance.
  redis.call('HSET', job, 'message', ARGV[4], 'request', ARGV[5], 'caller', ARGV[7])
  redis.call('ZADD', due, now + tonumber(ARGV[8]), id)
  return 'settled'
end
if known[1] then
  return known[3] == ARGV[7] and 'known' or 'taken'
end
local leader = redis.call('HMGET', KEYS[3], 'stage', 'outcome', 'fingerprint', 'delivered_at_ms')
local is_over = leader[1] == 'delivered' and (tonumber(leader[4]) or 0) + tonumber(ARGV[9]) <= now
if not leader[1] or is_over then
  return 'leaderless'
end
if leader[3] and leader[3] ~= ARGV[6] then
  return 'conflict'
end
redis.call('HSET', job, 'stage', 'following', 'leader', ARGV[3], 'celery_id', ARGV[2], 'message', ARGV[4],
  'request', ARGV[5], 'caller', ARGV[7], 'waiting_at_ms', now)
redis.call('ZADD', due, now + tonumber(ARGV[8]), id)
if leader[2] then
  redis.call('HSET', job, 'stage', 'settled', 'outcome', leader[2], 'settled_at_ms', now)
  return 'settled'
end
redis.call('SADD', KEYS[4], id)
redis.call('HSET', KEYS[3], 'is_followed', 1)
return 'following'
