-- Records a new job and hands out free slots, perhaps to this job, perhaps to one that waited longer.
-- KEYS: job, waiting, slots, due, gate
-- ARGV: job id, priority (0..9), message (JSON), request (JSON), cap, lease (ms), most grants
-- Returns: {'recorded' | 'known', granted job ids...}. Known: this id was recorded before; nothing was changed.
local waiting, slots, due, gate = KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local id, priority = ARGV[1], tonumber(ARGV[2])
if redis.call('EXISTS', KEYS[1]) == 1 then
  return {'known'}
end
local now = now_us()
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
