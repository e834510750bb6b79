-- Records one more caller of a job, its leader: it gets the leader's outcome, now or when there is one.
-- Keys: leader, followers
-- Uses: job
-- Settings: lease_ms, result_ttl_ms
-- Returns: 'following': it ends when its leader ends.
--          'settled': its outcome is known; it must be delivered.
--          'known': this very call was recorded before; nothing was changed.
--          'taken': another call has this record; nothing was changed.
--          'leaderless': the leader has no record, or an old one; nothing was changed.
--          'conflict': the leader is for another request; nothing was changed.
local now = now_ms()
local known = read_job('request', 'caller')
if known.stage == 'settled' and not known.request then
  -- Cancelled in advance.
  redis.call('HSET', job, 'message', message, 'request', request_json, 'caller', caller)
  redis.call('ZADD', due, now + lease_ms, job_id)
  return 'settled'
end
if known.stage then
  return known.caller == caller and 'known' or 'taken'
end
local led = redis.call('HMGET', leader, 'stage', 'outcome', 'fingerprint', 'delivered_at_ms')
local is_over = led[1] == 'delivered' and (tonumber(led[4]) or 0) + result_ttl_ms <= now
if not led[1] or is_over then
  return 'leaderless'
end
if led[3] and led[3] ~= fingerprint then
  return 'conflict'
end
transition(known, 'following', 'recorded', now + lease_ms, {'leader', leader_id, 'celery_id', celery_id,
  'message', message, 'request', request_json, 'caller', caller})
if led[2] then
  known.stage = 'following'
  transition(known, 'settled', 'its leader has ended', nil, {'outcome', led[2]})
  return 'settled'
end
redis.call('SADD', followers, job_id)
redis.call('HSET', leader, 'is_followed', 1)
return 'following'
