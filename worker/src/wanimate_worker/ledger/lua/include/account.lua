-- The account is one hash: what the vendor and the operator allow it now. A script reads it once and sees what it
-- writes. Its limits are max_in_flight, requests_per_minute, what the request budget follows from it
-- (emission_interval_us, burst, poll_headroom) and, where they are set, limits of money and of what is billed; with
-- them it says where webhooks go of jobs that name no address (webhook_url), where videos are kept (keep_url) and how
-- many events (events_kept). The request budget is tat_us: see budget.lua. The other fields are the gate; while one of
-- these is there, or in the future, nothing is submitted:
--   suspended (why), suspended_for    the vendor refuses the key, or there is no credit; probe_at_ms: the next probe
--   paused (why)                      the operator's pause: polls go on
--   closed_until_ms                   the back-off: no polls either; with closed_at_ms, failures and reason
--   unsafe_until_ms, unsafe (why)     an intent could not be made safe
--   limited_until_ms                  the end of the day whose limit a submission of limited_need_ms and
--                                     limited_need_micro_usd would have passed
--   low_balance_need                  what the next submission needs, for which the balance is too low: see balance.lua
--   breaker_next_ms                   the circuit breaker is open: see breaker.lua
-- cap_low and cap_low_at_ms are the cap that a 429 lowered; accepted_sent_ms is when the submission was sent that was
-- accepted last.
-- Keys: account
local DAY_LIMIT = {'limited_until_ms', 'limited_need_ms', 'limited_need_micro_usd'}
local TEXTS = {suspended = true, suspended_for = true, paused = true, reason = true, unsafe = true, refused_why = true,
  breaker_attempt = true, breaker_for = true, api_base_url = true, webhook_url = true, keep_url = true}
local account_known

-- Returns the fields by name: numbers, but for texts; what is missing or empty is nil.
local function read_account()
  if not account_known then
    account_known = {}
    local parts = redis.call('HGETALL', account)
    for i = 1, #parts, 2 do
      account_known[parts[i]] = TEXTS[parts[i]] and parts[i + 1] or tonumber(parts[i + 1])
    end
  end
  return account_known
end

-- Returns an address, webhook_url or keep_url; nothing where it is not set.
local function address_of(name)
  local address = read_account()[name]
  return address ~= '' and address or nil
end

-- Writes fields, by name.
local function set_account(fields)
  local known, parts = read_account(), {}
  for name, value in pairs(fields) do
    known[name] = value
    append(parts, {name, TEXTS[name] and value or whole(value)})
  end
  redis.call('HSET', account, unpack(parts))
end

-- Removes fields, those that are there.
local function clear_account(names)
  local known, found = read_account(), {}
  for _, name in ipairs(names) do
    if known[name] then
      found[#found + 1], known[name] = name, nil
    end
  end
  if #found > 0 then
    redis.call('HDEL', account, unpack(found))
  end
end

-- Returns the account if its limits are known; without them nothing is granted, submitted or polled, for no other
-- limits may be assumed.
local function read_limits()
  local known = read_account()
  return known.max_in_flight and known
end

-- Writes the limits, pairs of field and value; one that is not set is empty.
local function write_limits(fields)
  redis.call('HSET', account, unpack(fields))
  account_known = nil
end

-- Whether polls may be sent. Those of an empty account may: its tasks are paid for, and their results expire.
local function may_poll()
  local known = read_account()
  return (not known.suspended or known.suspended_for == 'credit') and (known.closed_until_ms or 0) <= now_ms()
end

-- Whether a submission may begin.
local function may_submit()
  local known, now = read_account(), now_ms()
  local is_open = not known.suspended and not known.paused and not known.low_balance_need
  for _, name in ipairs({'closed_until_ms', 'breaker_next_ms', 'unsafe_until_ms', 'limited_until_ms'}) do
    is_open = is_open and (known[name] or 0) <= now
  end
  if (known.unsafe_until_ms or math.huge) <= now then
    clear_account({'unsafe', 'unsafe_until_ms'})
  end
  if (known.limited_until_ms or math.huge) <= now then
    clear_account(DAY_LIMIT)
  end
  return is_open
end

-- An answer to a request sent (ms) after the last closing proves that the vendor works again.
local function end_back_off(sent_at_ms)
  local known = read_account()
  if known.failures and sent_at_ms >= (known.closed_at_ms or 0) then
    clear_account({'failures', 'closed_until_ms', 'closed_at_ms', 'reason'})
  end
end

-- Returns the cap as it is now: a concurrency 429 lowers it, and it grows back by cap / 600 slots a second.
local function effective_cap(known)
  local cap = known.max_in_flight
  if not known.cap_low then
    return cap
  end
  local grown = known.cap_low + math.floor(math.max(0, now_ms() - known.cap_low_at_ms) * cap / 600000)
  if grown >= cap then
    clear_account({'cap_low', 'cap_low_at_ms'})
    return cap
  end
  return grown
end
