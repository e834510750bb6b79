-- Records a new job and hands out free slots, perhaps to this job, perhaps to one that waited longer.
-- KEYS: job, waiting, slots, due, gate
-- ARGV: job id, priority (0..9), message (JSON), request (JSON), cap, lease (ms), most grants
-- Returns: {'recorded' | 'known', job ids to resume...}. Known: this id was recorded before; nothing was changed, but
--          one that was cancelled in advance is put under the clock and must be resumed, to be delivered.
local waiting, slots, due, gate = KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local id, priority = ARGV[1], tonumber(ARGV[2])
local now = now_us()
local known = redis.call('HMGET', KEYS[1], 'stage', 'request')
if known[1] == 'settled' and not known[2] then
  redis.call('HSET', KEYS[1], 'message', ARGV[3], 'request', ARGV[4])
  redis.call('ZADD', due, math.floor(now / 1000) + tonumber(ARGV[6]), id)
  return {'known', id}
end
if known[1] then
  return {'known'}
end
-- What a lost record of this id left behind: a job is never in line and in a slot at once.
redis.call('ZREM', slots, id)
redis.call('ZREM', due, id)
-- Bands as Celery's priority steps (0, 3, 6, 9); within a band by arrival. A band is 10^10 s wide, and a double still
-- tells apart arrivals 16 us from each other.
local rank = math.floor(priority / 3) * 10000000000 + now / 1000000
redis.call('HSET', KEYS[1],
  'stage', 'waiting', 'rank', string.format('%.6f', rank), 'attempts', 0,
  'message', ARGV[3], 'request', ARGV[4], 'waiting_at_ms', whole(math.floor(now / 1000)))
redis.call('ZADD', waiting, string.format('%.6f', rank), id)
local granted = grant(waiting, slots, due, gate, tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]))
table.insert(granted, 1, 'recorded')
return granted
