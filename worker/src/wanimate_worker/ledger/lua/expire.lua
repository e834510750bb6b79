-- Settles a job whose deadline passed before it was sent to the vendor: nothing is billed.
-- KEYS: job, waiting, slots, due, gate, limits, failed, tally, parked
-- ARGV: job id, outcome (JSON), lease (ms), most grants, cause, time to live of a failed job (ms)
-- Returns: {'expired' | 'kept', granted job ids...}. Kept: it has no deadline, or time left, or was sent meanwhile.
local job, waiting, slots, due, gate, limits = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local id = ARGV[1]
local fields = redis.call('HMGET', job, 'stage', 'deadline_at_ms')
local now = now_ms()
if fields[1] ~= 'waiting' or not fields[2] or tonumber(fields[2]) > now then
  return {'kept'}
end
redis.call('HSET', job, 'stage', 'settled', 'outcome', ARGV[2], 'settled_at_ms', now)
note(job, now, 'settled', ARGV[5])
count(KEYS[8], {'ended:failed', 1})
note_failed(KEYS[7], id, now, ARGV[6])
redis.call('ZREM', waiting, id)
redis.call('ZREM', KEYS[9], id)
redis.call('ZREM', slots, id)
redis.call('ZADD', due, now + tonumber(ARGV[3]), id)
local granted = grant(waiting, slots, due, gate, limits, tonumber(ARGV[3]), tonumber(ARGV[4]))
table.insert(granted, 1, 'expired')
return granted
