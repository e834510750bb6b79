-- The account's limits: max_in_flight, requests_per_minute, what the request budget follows from it
-- (emission_interval_us, burst, poll_headroom), and where they are set, limits of money and of what is billed.
-- Keys: limits
local LIMITS = {'max_in_flight', 'emission_interval_us', 'burst', 'poll_headroom', 'daily_billed_ms',
  'daily_billed_micro_usd', 'price_480p_micro_usd', 'price_720p_micro_usd', 'balance_hold_micro_usd'}

-- Returns nothing where the first are missing: then nothing is granted, submitted or polled, for no other limits may be
-- assumed.
local function read_limits()
  local known, values = {}, redis.call('HMGET', limits, unpack(LIMITS))
  for i, name in ipairs(LIMITS) do
    known[name] = tonumber(values[i])
    if not known[name] and i <= 4 then
      return nil
    end
  end
  return known
end

-- Writes the limits, pairs of field and value, where none are known. Returns whether it did.
local function fill_limits(fields)
  if read_limits() then
    return false
  end
  redis.call('DEL', limits)
  redis.call('HSET', limits, unpack(fields))
  return true
end
