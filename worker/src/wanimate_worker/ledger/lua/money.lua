-- What is billed, in ms of video and in money, and the balance; shared by every script, after the prelude. Money is whole
-- micro-dollars everywhere.

-- What the vendor bills is estimated by day (UTC): the field DAY in all, and 'DAY name=value' for each label. Labels beyond
-- the first 200 of a day are added up in 'DAY '; 'DAY#' counts those that are not. One hash has ms of video; another the
-- same fields in money, at the price of the moment, where one was known.
local function day_of(now)
  return whole(math.floor(now / 86400000))
end

-- Returns what a submission costs; nothing where its price is not known. A job that names no resolution is 480p.
local function cost_of(known, request, ms)
  local price = known.price_480p_micro_usd
  if known.price_720p_micro_usd and cjson.decode(request).resolution == '720p' then
    price = known.price_720p_micro_usd
  end
  return price and math.floor(ms * price / 1000 + 0.5)
end

-- Adds an amount of money to the fields that ms of video were added to: all of `taken` but the first.
local function add_money(spent, taken, micro_usd)
  local amounts = {}
  for i = 2, #taken do
    amounts[#amounts + 1] = taken[i]
    amounts[#amounts + 1] = micro_usd
  end
  count(spent, amounts)
end

-- Adds a submission to its day, and returns what takes it back: the ms of video and the fields it was added to (JSON).
local function bill(billed, spent, now, ms, micro_usd, labels)
  local day = day_of(now)
  local taken = {ms, day}
  if #labels == 0 then
    count(billed, {day, ms})
  else
    local names = {day, table.concat({day, '#'})}
    for _, label in ipairs(labels) do
      names[#names + 1] = table.concat({day, label}, ' ')
    end
    local old = redis.call('HMGET', billed, unpack(names))
    local distinct, is_full = tonumber(old[2]) or 0, false
    local amounts = {day, whole((tonumber(old[1]) or 0) + ms)}
    for i = 3, #names do
      if old[i] or distinct < 200 then
        distinct = distinct + (old[i] and 0 or 1)
        taken[#taken + 1] = names[i]
        amounts[#amounts + 1] = names[i]
        amounts[#amounts + 1] = whole((tonumber(old[i]) or 0) + ms)
      else
        is_full = true
      end
    end
    if distinct > (tonumber(old[2]) or 0) then
      amounts[#amounts + 1] = names[2]
      amounts[#amounts + 1] = distinct
    end
    redis.call('HSET', billed, unpack(amounts))
    if not old[1] then
      redis.call('PEXPIRE', billed, COUNTS_TTL_MS)
    end
    if is_full then
      taken[#taken + 1] = table.concat({day, ' '})
      redis.call('HINCRBY', billed, taken[#taken], ms)
    end
  end
  if micro_usd then
    add_money(spent, taken, micro_usd)
  end
  return cjson.encode(taken)
end

-- Counts what a submission was billed with among what happened since ever: it was accepted, or may have been.
local function count_billed(tally, taken, micro_usd)
  if taken then
    count(tally, {'billed_ms', cjson.decode(taken)[1]})
  end
  if micro_usd then
    count(tally, {'billed_micro_usd', tonumber(micro_usd)})
  end
end

-- Notes that a submission was answered, or its answer is lost: a reading of the balance that is asked for later knows it.
local function note_charged(balance, micro_usd)
  if micro_usd then
    redis.call('HINCRBY', balance, 'answered_micro_usd', micro_usd)
  end
end

-- Whether a submission would bring its day past a limit, of ms of video or of money.
local function is_over_day(billed, spent, known, now, ms, micro_usd)
  local day = day_of(now)
  local function passes(counts, most, amount)
    return most and (tonumber(redis.call('HGET', counts, day)) or 0) + amount > most
  end
  return passes(billed, known.daily_billed_ms, ms) or passes(spent, known.daily_billed_micro_usd, micro_usd or 0)
end

-- The balance is a hash: micro_usd, as the vendor told it at_ms; why and why_at_ms, if a later reading failed; next_at_ms,
-- when it is asked again; sent_micro_usd, what submissions were begun for since ever, and answered_micro_usd, how much of that
-- was answered, or given up; sent_before_micro_usd, how much was answered before the reading was asked for, so is in it. Returns what is left of it, less what was sent since; nothing if it was never read.
local function balance_left(balance)
  local state = redis.call('HMGET', balance, 'micro_usd', 'sent_micro_usd', 'sent_before_micro_usd')
  local since = (tonumber(state[2]) or 0) - (tonumber(state[3]) or 0)
  return state[1] and tonumber(state[1]) - math.max(0, since) or nil
end

-- Stops submissions while the balance, less what the next one needs, is below the threshold; else lets them go on. Returns
-- whether it lets them.
local function weigh_balance(gate, balance, known, need)
  local least = known.balance_hold_micro_usd
  local left = least and balance_left(balance)
  if left and left - need < least then
    redis.call('HSET', gate, 'low_balance_need', whole(need))
    return false
  end
  redis.call('HDEL', gate, 'low_balance_need')
  return true
end

-- The same for what the submission that was stopped last needs.
local function weigh_balance_again(gate, balance, known)
  return weigh_balance(gate, balance, known, tonumber(redis.call('HGET', gate, 'low_balance_need')) or 0)
end

-- The vendor surely did not accept a submission: takes its estimate back from its day, and lets others try their luck
-- if the day's limit was reached.
local function give_back(billed, spent, balance, gate, taken, micro_usd, was_answered)
  local parts, amounts = cjson.decode(taken), {}
  for i = 2, #parts do
    amounts[#amounts + 1] = parts[i]
    amounts[#amounts + 1] = -parts[1]
  end
  if redis.call('HEXISTS', billed, parts[2]) == 1 then
    count(billed, amounts)
  end
  if micro_usd and redis.call('HEXISTS', spent, parts[2]) == 1 then
    add_money(spent, parts, -micro_usd)
  end
  if micro_usd and redis.call('HEXISTS', balance, 'sent_micro_usd') == 1 then
    redis.call('HINCRBY', balance, 'sent_micro_usd', -micro_usd)
    if was_answered then
      redis.call('HINCRBY', balance, 'answered_micro_usd', -micro_usd)
    end
  end
  redis.call('HDEL', gate, 'limited_until_ms', 'limited_need_ms', 'limited_need_micro_usd')
end
