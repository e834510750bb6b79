-- How long tasks take.
-- Keys: durations
local DURATIONS_TTL_MS = 30 * 86400000

-- Counts one ended task. Old tasks count less: at 4000 all counts are halved. The share whose callbacks came is a mean in
-- which each task weighs 1/32, so that some dozens tell that callbacks have stopped.
local function record_duration(field, was_called)
  local known = redis.call('HMGET', durations, 'called', 'total', field)
  local share, total = tonumber(known[1]) or 1, (tonumber(known[2]) or 0) + 1
  share = share + ((was_called and 1 or 0) - share) / 32
  redis.call('HSET', durations, 'called', string.format('%.4f', share), 'total', total,
    field, (tonumber(known[3]) or 0) + 1)
  local is_faded = total >= 4000
  if is_faded then
    local counts = redis.call('HGETALL', durations)
    total = 0
    redis.call('DEL', durations)
    redis.call('HSET', durations, 'called', string.format('%.4f', share))
    for i = 1, #counts, 2 do
      local half = math.floor(tonumber(counts[i + 1]) / 2)
      if half > 0 and counts[i] ~= 'total' and counts[i] ~= 'called' then
        redis.call('HSET', durations, counts[i], half)
        total = total + half
      end
    end
    redis.call('HSET', durations, 'total', total)
  end
  -- Often enough for a time to live of weeks.
  if is_faded or not known[3] or total % 100 == 0 then
    redis.call('PEXPIRE', durations, DURATIONS_TTL_MS)
  end
end

-- Makes good that a task was counted as one without a callback: a poll had only been faster. Else polls that are faster
-- because there are many of them would go on to be many.
local function record_late_callback()
  local share = tonumber(redis.call('HGET', durations, 'called'))
  if share then
    redis.call('HSET', durations, 'called', string.format('%.4f', math.min(1, share + 1 / 32)))
  end
end
