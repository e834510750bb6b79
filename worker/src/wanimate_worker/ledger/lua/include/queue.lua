-- The jobs that wait: for a slot, or parked until their next attempt.
-- Keys: waiting, parked, due

-- The score in `waiting`. Bands as Celery's priority steps (0, 3, 6, 9); within a band by arrival. A band is 10^10 s
-- wide, and a double still tells apart arrivals 8 us from each other.
local function rank_of(priority, at_us)
  return string.format('%.6f', math.floor(priority / 3) * 10000000000 + at_us / 1000000)
end

-- Enqueues the job. Only one with a deadline (ms) has a due time while it waits, so that it is settled then.
local function enqueue(rank, deadline_ms)
  redis.call('ZADD', waiting, rank, job_id)
  if deadline_ms then
    redis.call('ZADD', due, deadline_ms, job_id)
  else
    redis.call('ZREM', due, job_id)
  end
end

-- Parks the job until a moment (ms): it gets no slot until a poll finds it due, then or at its deadline (ms).
local function park(until_ms, deadline_ms)
  redis.call('ZADD', parked, whole(until_ms), job_id)
  redis.call('ZADD', due, whole(math.min(until_ms, tonumber(deadline_ms) or math.huge)), job_id)
end
