-- Removes what points to a job whose record is gone (evicted or deleted by hand) and hands its slot on.
-- KEYS: job, waiting, slots, due, gate, limits, unknown, parked
-- ARGV: job id, lease (ms), most grants
-- Returns: {'forgotten' | 'exists', granted job ids...}
if redis.call('EXISTS', KEYS[1]) == 1 then
  return {'exists'}
end
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('ZREM', KEYS[4], ARGV[1])
redis.call('ZREM', KEYS[7], ARGV[1])
redis.call('ZREM', KEYS[8], ARGV[1])
local granted = grant(KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], tonumber(ARGV[2]), tonumber(ARGV[3]))
table.insert(granted, 1, 'forgotten')
return granted
