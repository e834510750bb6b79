-- What the vendor probably bills, by day (UTC): the field DAY in all, and 'DAY name=value' for each label. Labels beyond
-- the first 200 of a day are added up in 'DAY '; 'DAY#' counts those that are not. `billed` has ms of video; `spent` the
-- same fields in money, whole micro-dollars, at the price of the moment, where one was known.
-- Keys: billed, spent, balance
-- Uses: counters, account
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
local function add_money(taken, micro_usd)
  local amounts = {}
  for i = 2, #taken do
    amounts[#amounts + 1] = taken[i]
    amounts[#amounts + 1] = micro_usd
  end
  count(spent, amounts)
end

-- Adds a submission to its day, and returns what takes it back: the ms of video and the fields it was added to (JSON).
local function bill(ms, micro_usd, labels)
  local day = day_of(now_ms())
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
    add_money(taken, micro_usd)
  end
  return cjson.encode(taken)
end

-- Counts what a submission was billed with among what happened since ever: it was accepted, or may have been. A reading of
-- the balance that is asked for later knows it.
local function count_billed(record)
  local amounts = {}
  if record.billed then
    amounts[1], amounts[2] = 'billed_ms', cjson.decode(record.billed)[1]
  end
  if record.billed_micro_usd then
    amounts[#amounts + 1], amounts[#amounts + 2] = 'billed_micro_usd', tonumber(record.billed_micro_usd)
    redis.call('HINCRBY', balance, 'answered_micro_usd', record.billed_micro_usd)
  end
  if #amounts > 0 then
    count(tally, amounts)
  end
end

-- Whether a submission would bring its day past a limit, of ms of video or of money.
local function is_over_day(known, ms, micro_usd)
  local day = day_of(now_ms())
  local function passes(counts, most, amount)
    return most and (tonumber(redis.call('HGET', counts, day)) or 0) + amount > most
  end
  return passes(billed, known.daily_billed_ms, ms) or passes(spent, known.daily_billed_micro_usd, micro_usd or 0)
end

-- The vendor surely did not accept a submission: refunds its estimate to its day, and lets others try their luck if the
-- day's limit was reached.
local function refund(record, was_answered)
  local taken, micro_usd, amounts = cjson.decode(record.billed), record.billed_micro_usd, {}
  for i = 2, #taken do
    amounts[#amounts + 1] = taken[i]
    amounts[#amounts + 1] = -taken[1]
  end
  if redis.call('HEXISTS', billed, taken[2]) == 1 then
    count(billed, amounts)
  end
  if micro_usd and redis.call('HEXISTS', spent, taken[2]) == 1 then
    add_money(taken, -micro_usd)
  end
  if micro_usd and redis.call('HEXISTS', balance, 'sent_micro_usd') == 1 then
    redis.call('HINCRBY', balance, 'sent_micro_usd', -micro_usd)
    if was_answered then
      redis.call('HINCRBY', balance, 'answered_micro_usd', -micro_usd)
    end
  end
  clear_account(DAY_LIMIT)
end
