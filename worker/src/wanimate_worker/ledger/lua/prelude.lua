-- Shared by every script of the ledger; put in front of each when it is registered.
-- Time is Redis time: hosts' clocks differ, and a lease must mean the same to all of them.

-- Asked for once: all that a script does happens at one moment.
local moment_us
local function now_us()
  if not moment_us then
    local time = redis.call('TIME')
    moment_us = tonumber(time[1]) * 1000000 + tonumber(time[2])
  end
  return moment_us
end

local function now_ms()
  return math.floor(now_us() / 1000)
end

-- The account's limits are a hash: max_in_flight, requests_per_minute, what the request budget follows from it
-- (emission_interval_us, burst, poll_headroom), and where they are set, limits of money and of what is billed (see
-- money.lua). Returns nothing where the first are missing: then nothing is granted, submitted or polled, for no other
-- limits may be assumed.
local LIMITS = {'max_in_flight', 'emission_interval_us', 'burst', 'poll_headroom', 'daily_billed_ms',
  'daily_billed_micro_usd', 'price_480p_micro_usd', 'price_720p_micro_usd', 'balance_hold_micro_usd'}
local function limits_of(limits)
  local known, values = {}, redis.call('HMGET', limits, unpack(LIMITS))
  for i, name in ipairs(LIMITS) do
    known[name] = tonumber(values[i])
    if not known[name] and i <= 4 then
      return nil
    end
  end
  return known
end

-- Writes the limits, pairs of field and value from a place on, where none are known. Returns 1 if it did.
local function fill_limits(limits, parts, first)
  if limits_of(limits) then
    return 0
  end
  redis.call('DEL', limits)
  redis.call('HSET', limits, unpack(parts, first))
  return 1
end

-- Returns how many request permits polls could take now, and the TAT. Some of the burst is left to submissions.
local function poll_permits(budget, now, known)
  local room = math.max(1, known.burst - known.poll_headroom)
  local tat = math.max(tonumber(redis.call('GET', budget)) or 0, now)
  return math.max(0, math.floor(room - (tat - now) / known.emission_interval_us)), tat
end

-- Lua would write large numbers as 1.7e+15.
local function whole(number)
  return string.format('%.0f', number)
end

-- Returns a job's history with one transition more: lines of time (ms), stage and cause, the last 50. The first of a
-- job, recorded as waiting, is not among them: waiting_at_ms says it, so a backlog costs no memory for its history.
local function noted(history, at_ms, stage, cause)
  local lines = {}
  for line in string.gmatch(history or '', '[^\n]+') do
    lines[#lines + 1] = line
  end
  local why = string.gsub(cause, '%c', ' ')
  lines[#lines + 1] = table.concat({whole(at_ms), stage, why}, ' ')
  return table.concat(lines, '\n', math.max(1, #lines - 49))
end

local function note(job, at_ms, stage, cause)
  redis.call('HSET', job, 'history', noted(redis.call('HGET', job, 'history'), at_ms, stage, cause))
end

-- Lists a failed job for the operator. The list lives as long as its newest entry.
local function note_failed(failed, id, at_ms, ttl_ms)
  redis.call('ZADD', failed, at_ms, id)
  redis.call('PEXPIRE', failed, ttl_ms)
end

-- Counts one ended task. Old tasks count less: at 4000 all counts are halved. The share whose callbacks came first is a
-- mean in which each task weighs 1/32, so that some dozens tell that callbacks have stopped.
local function learn(durations, field, was_called, ttl_ms)
  local known = redis.call('HMGET', durations, 'called', 'total', field)
  local share, total = tonumber(known[1]) or 0, (tonumber(known[2]) or 0) + 1
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
    redis.call('PEXPIRE', durations, ttl_ms)
  end
end

-- Bands as Celery's priority steps (0, 3, 6, 9); within a band by arrival. A band is 10^10 s wide, and a double still
-- tells apart arrivals 16 us from each other.
local function rank_of(priority, at_us)
  return string.format('%.6f', math.floor(priority / 3) * 10000000000 + at_us / 1000000)
end

-- Puts a job in line. Only one with a deadline (ms) is under the clock while it waits, so that somebody looks then.
local function line_up(waiting, due, id, rank, deadline_ms)
  redis.call('ZADD', waiting, rank, id)
  if deadline_ms then
    redis.call('ZADD', due, deadline_ms, id)
  else
    redis.call('ZREM', due, id)
  end
end

-- Parks a job until a moment (ms): it waits, but is not in line, until a poll finds it due, then or at its deadline (ms).
local function park(parked, due, id, until_ms, deadline_ms)
  redis.call('ZADD', parked, whole(until_ms), id)
  redis.call('ZADD', due, whole(math.min(until_ms, tonumber(deadline_ms) or math.huge)), id)
end

-- Counts what happened, by pairs of field and amount; a new field renews the time to live of the hash. One command for
-- one field, two for more.
local COUNTS_TTL_MS = 40 * 86400000
local function count(counts, amounts)
  if #amounts == 2 then
    if redis.call('HINCRBY', counts, amounts[1], amounts[2]) == amounts[2] then
      redis.call('PEXPIRE', counts, COUNTS_TTL_MS)
    end
    return
  end
  local names, is_new = {}, false
  for i = 1, #amounts, 2 do
    names[#names + 1] = amounts[i]
  end
  local old = redis.call('HMGET', counts, unpack(names))
  for i = 1, #names do
    is_new = is_new or not old[i]
    amounts[2 * i] = whole((tonumber(old[i]) or 0) + amounts[2 * i])
  end
  redis.call('HSET', counts, unpack(amounts))
  if is_new then
    redis.call('PEXPIRE', counts, COUNTS_TTL_MS)
  end
end

-- Counts requests that the vendor answered, and not with a 429: the field total, and one for each second of the last
-- minute (Unix s).
local function note_answered(answered, requests)
  local second = math.floor(now_ms() / 1000)
  redis.call('HINCRBY', answered, 'total', requests)
  if redis.call('HINCRBY', answered, whole(second), requests) == requests then
    for _, field in ipairs(redis.call('HKEYS', answered)) do
      if field ~= 'total' and tonumber(field) < second - 60 then
        redis.call('HDEL', answered, field)
      end
    end
    redis.call('PEXPIRE', answered, 3600000)
  end
end

-- Adds two pairs that count a time in a histogram: the bucket by its upper edge (ms), and the sum (ms).
local LAG_EDGES_MS = {50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000, 300000}
local TOOK_EDGES_MS = {1000, 2500, 5000, 10000, 20000, 30000, 45000, 60000, 90000, 120000, 180000, 300000, 600000, 1800000}
local function observe(amounts, name, edges, ms)
  local edge = 'inf'
  for i = #edges, 1, -1 do
    if ms > edges[i] then
      break
    end
    edge = whole(edges[i])
  end
  for _, part in ipairs({table.concat({name, edge}, ':'), 1, table.concat({name, 'ms'}, ':'), ms}) do
    amounts[#amounts + 1] = part
  end
end

-- The gate is a hash: paused (why), closed_until_ms, closed_at_ms, failures, reason, cap_low, cap_low_at_ms, and held
-- (why) with held_at_ms, the operator's hold: nothing new is submitted, but polls go on. So it is until
-- unsafe_until_ms, when intents could not be made safe; unsafe says why. So it is until limited_until_ms, the end of
-- the day whose estimate a submission of limited_need_ms and limited_need_micro_usd would have brought past a limit. So it is
-- while there is low_balance_need: see weigh_balance. accepted_sent_ms says when the submission was sent that was accepted
-- last.
-- The circuit breaker: while there is trial_at_ms, one submission at a time is tried, the next one then. trial is the
-- attempt that is being tried, trials how many have come to nothing, trial_for why: 'lost' answers (lost_in_a_row, see
-- doubt), 'refused' jobs (refused_in_a_row and refused_why, see refuse), or an account that was 'suspended'.

-- Whether polls may be sent. Those of an empty account may: its tasks are paid for, and their results expire.
local function may_poll(gate, now)
  local state = redis.call('HMGET', gate, 'paused', 'closed_until_ms', 'paused_for')
  return (not state[1] or state[3] == 'credit') and (tonumber(state[2]) or 0) <= now
end

-- Returns nothing if no submission may begin, else what the gate says besides: trial_at_ms, cap_low, cap_low_at_ms.
local function may_submit(gate, now)
  local state = redis.call('HMGET', gate, 'paused', 'closed_until_ms', 'held', 'trial_at_ms', 'unsafe_until_ms',
    'cap_low', 'cap_low_at_ms', 'limited_until_ms', 'low_balance_need')
  local is_open = not state[1] and not state[3] and not state[9]
  for _, until_ms in ipairs({state[2] or 0, state[4] or 0, state[5] or 0, state[8] or 0}) do
    is_open = is_open and tonumber(until_ms) <= now
  end
  if state[5] and tonumber(state[5]) <= now then
    redis.call('HDEL', gate, 'unsafe', 'unsafe_until_ms')
  end
  if state[8] and tonumber(state[8]) <= now then
    redis.call('HDEL', gate, 'limited_until_ms', 'limited_need_ms', 'limited_need_micro_usd')
  end
  return is_open and {trial_at_ms = state[4], cap_low = state[6], cap_low_at_ms = state[7]} or nil
end

-- One lost answer is an accident. Three without an answered submission in between are an outage, and each job sent into
-- it may be paid for without anybody knowing its task. So from then on one submission at a time is tried, after longer
-- and longer pauses, until one is answered.
-- Returns whether one at a time is tried from now on.
local function try_later(gate, nonce, now, in_a_row, base_ms, longest_ms)
  local state = redis.call('HMGET', gate, 'trial_at_ms', 'trial')
  local is_first = in_a_row >= 3 and not state[1]
  if is_first or (state[1] and state[2] == nonce) then
    local trials = is_first and 0 or redis.call('HINCRBY', gate, 'trials', 1)
    redis.call('HSET', gate, 'trial_at_ms', whole(now + math.min(longest_ms, base_ms * 2 ^ math.min(trials, 30))))
  end
  return is_first
end

local function doubt(gate, nonce, now, base_ms, longest_ms)
  if try_later(gate, nonce, now, redis.call('HINCRBY', gate, 'lost_in_a_row', 1), base_ms, longest_ms) then
    redis.call('HSET', gate, 'trial_for', 'lost')
  end
end

-- A submission was accepted: one at a time is tried no longer, whatever it was for.
local function trust(gate)
  redis.call('HDEL', gate, 'lost_in_a_row', 'refused_in_a_row', 'refused_why', 'trial_at_ms', 'trial', 'trials',
    'trial_for')
end

-- A submission was answered in another way, or a callback told of its task: what is sent is not lost. Whether the
-- account may submit is not known by that: where this is tried, another one may be tried at once.
local function answered(gate, nonce)
  local state = redis.call('HMGET', gate, 'trial_for', 'trial')
  if not state[1] or state[1] == 'lost' then
    redis.call('HDEL', gate, 'lost_in_a_row', 'trial_at_ms', 'trial', 'trials', 'trial_for')
    return
  end
  redis.call('HDEL', gate, 'lost_in_a_row')
  if state[2] == nonce then
    redis.call('HSET', gate, 'trial_at_ms', 0)
  end
end

-- An answer to a request sent after the last closing proves the vendor well again.
local function gate_success(gate, sent_at_ms)
  local state = redis.call('HMGET', gate, 'failures', 'closed_at_ms')
  if state[1] and tonumber(sent_at_ms) >= (tonumber(state[2]) or 0) then
    redis.call('HDEL', gate, 'failures', 'closed_until_ms', 'closed_at_ms', 'reason')
  end
end

-- A concurrency 429 lowers the cap; it grows back by cap / 600 slots a second.
local function grown_cap(gate, low, low_at_ms, cap, now)
  if not low then
    return cap
  end
  local grown = tonumber(low) + math.floor(math.max(0, now - tonumber(low_at_ms)) * cap / 600000)
  if grown >= cap then
    redis.call('HDEL', gate, 'cap_low', 'cap_low_at_ms')
    return cap
  end
  return grown
end

local function effective_cap(gate, cap, now)
  local state = redis.call('HMGET', gate, 'cap_low', 'cap_low_at_ms')
  return grown_cap(gate, state[1], state[2], cap, now)
end

-- Moves waiting jobs into free slots and returns them; the caller resumes them. Should it die first, their due time
-- passes and they are resumed again.
local function grant(waiting, slots, due, gate, limits, lease_ms, most)
  local now = now_ms()
  local state, known = may_submit(gate, now), limits_of(limits)
  if not state or not known then
    return {}
  end
  if state.trial_at_ms then
    most = 1
  end
  local cap_now = grown_cap(gate, state.cap_low, state.cap_low_at_ms, known.max_in_flight, now)
  local free = math.min(cap_now - redis.call('ZCARD', slots), most)
  if free <= 0 then
    return {}
  end
  local popped = redis.call('ZPOPMIN', waiting, free)
  local granted, taken, looked_at = {}, {}, {}
  for i = 1, #popped, 2 do
    granted[#granted + 1] = popped[i]
    taken[i], taken[i + 1] = now, popped[i]
    looked_at[i], looked_at[i + 1] = now + lease_ms, popped[i]
  end
  if #granted > 0 then
    redis.call('ZADD', slots, unpack(taken))
    redis.call('ZADD', due, unpack(looked_at))
  end
  return granted
end
