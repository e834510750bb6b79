-- The gate is a hash: paused (why), closed_until_ms, closed_at_ms, failures, reason, cap_low, cap_low_at_ms, and held
-- (why) with held_at_ms, the operator's hold: nothing new is submitted, but polls go on. So it is until
-- unsafe_until_ms, when intents could not be made safe; unsafe says why. So it is until limited_until_ms, the end of
-- the day whose estimate a submission of limited_need_ms and limited_need_micro_usd would have brought past a limit. So it
-- is while there is low_balance_need: see balance.lua. accepted_sent_ms says when the submission was sent that was accepted
-- last. The other fields are the circuit breaker's: see breaker.lua.
-- Keys: gate
local GATE = {'paused', 'paused_for', 'probe_at_ms', 'held', 'closed_until_ms', 'closed_at_ms', 'failures', 'cap_low',
  'cap_low_at_ms', 'unsafe_until_ms', 'limited_until_ms', 'limited_need_ms', 'limited_need_micro_usd', 'low_balance_need',
  'accepted_sent_ms', 'trial_at_ms', 'trial', 'trials', 'trial_for', 'lost_in_a_row', 'refused_in_a_row', 'refused_why'}
local DAY_LIMIT = {'limited_until_ms', 'limited_need_ms', 'limited_need_micro_usd'}
local gate_known

-- Returns the fields of the gate by name, as this script leaves them; they are read once.
local function gate_state()
  if not gate_known then
    gate_known = {}
    local values = redis.call('HMGET', gate, unpack(GATE))
    for i, name in ipairs(GATE) do
      gate_known[name] = values[i] or nil
    end
  end
  return gate_known
end

-- Writes fields of the gate, pairs of field and value.
local function set_gate(fields)
  local state = gate_state()
  for i = 1, #fields, 2 do
    state[fields[i]] = fields[i + 1]
  end
  redis.call('HSET', gate, unpack(fields))
end

-- Removes fields of the gate, those that are there.
local function clear_gate(names)
  local state, found = gate_state(), {}
  for _, name in ipairs(names) do
    if state[name] then
      found[#found + 1], state[name] = name, nil
    end
  end
  if #found > 0 then
    redis.call('HDEL', gate, unpack(found))
  end
end

-- Whether polls may be sent. Those of an empty account may: its tasks are paid for, and their results expire.
local function may_poll()
  local state = gate_state()
  return (not state.paused or state.paused_for == 'credit') and (tonumber(state.closed_until_ms) or 0) <= now_ms()
end

-- Whether a submission may begin.
local function may_submit()
  local state, now = gate_state(), now_ms()
  local is_open = not state.paused and not state.held and not state.low_balance_need
  for _, name in ipairs({'closed_until_ms', 'trial_at_ms', 'unsafe_until_ms', 'limited_until_ms'}) do
    is_open = is_open and (tonumber(state[name]) or 0) <= now
  end
  if state.unsafe_until_ms and tonumber(state.unsafe_until_ms) <= now then
    redis.call('HDEL', gate, 'unsafe', 'unsafe_until_ms')
    state.unsafe_until_ms = nil
  end
  if state.limited_until_ms and tonumber(state.limited_until_ms) <= now then
    clear_gate(DAY_LIMIT)
  end
  return is_open
end

-- An answer to a request sent (ms) after the last closing proves the vendor well again.
local function gate_success(sent_at_ms)
  local state = gate_state()
  if state.failures and sent_at_ms >= (tonumber(state.closed_at_ms) or 0) then
    redis.call('HDEL', gate, 'failures', 'closed_until_ms', 'closed_at_ms', 'reason')
    state.failures, state.closed_until_ms, state.closed_at_ms = nil, nil, nil
  end
end

-- Returns the cap as it is now: a concurrency 429 lowers it, and it grows back by cap / 600 slots a second.
local function effective_cap(cap)
  local state = gate_state()
  if not state.cap_low then
    return cap
  end
  local since = math.max(0, now_ms() - tonumber(state.cap_low_at_ms))
  local grown = tonumber(state.cap_low) + math.floor(since * cap / 600000)
  if grown >= cap then
    clear_gate({'cap_low', 'cap_low_at_ms'})
    return cap
  end
  return grown
end
